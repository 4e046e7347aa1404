"""Networks: the one object that is deployed, and that the teacher copies."""

from medctx3d.models.networks.embedding_net import Embedded, EmbeddingNet
from medctx3d.models.networks.encoder_decoder import EncoderDecoder
from medctx3d.models.networks.fmunet import FMUNet
from medctx3d.models.networks.pct_net import PCTNet
from medctx3d.models.networks.whole_net import WholeNet

__all__ = ['Embedded', 'EmbeddingNet', 'EncoderDecoder', 'FMUNet', 'PCTNet', 'WholeNet']

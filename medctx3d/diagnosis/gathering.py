"""From a config's data sets to facts: lists first, then files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.datalist import decathlon_splits
from medctx3d.diagnosis.facts import Facts, SplitFacts
from medctx3d.diagnosis.pipeline_facts import PipelineFacts
from medctx3d.diagnosis.reading import CaseJob, read_cases


def gather(
    datasets: Mapping[str, tuple[VolumeDataset, PipelineFacts]],
    *,
    voxels: bool,
    workers: int = 1,
    progress: bool = False,
) -> Facts:
    """Read lists and files of data sets.

    Args:
        datasets: By stage (``train``, ``val``, ``test``), not initialised; ``data_list`` of each is filled.
        voxels: Read voxels as well as headers.
        workers: Processes that read.
        progress: Show a bar on stderr.

    Returns:
        Facts of the splits. A list that cannot be read is a fact too: its split has a ``problem``. Test cases that are
        the validation's are one split, ``val, test``, for testing on the validation split is a choice.
    """
    splits = [_read_list(stage, dataset, facts) for stage, (dataset, facts) in datasets.items()]
    by_stage = dict(zip(datasets, splits, strict=True))
    jobs = {stage: [*_jobs(by_stage[stage], datasets[stage][0], voxels=voxels)] for stage in datasets}
    if 'val' in jobs and 'test' in jobs and _paths(jobs['val']) == _paths(jobs['test']) and jobs['val']:
        jobs.pop('test')
        by_stage.pop('test')
        by_stage['val'] = replace(by_stage['val'], name='val, test')
        jobs['val'] = [job._replace(split='val, test') for job in jobs['val']]
    read = iter(read_cases([job for each in jobs.values() for job in each], workers, progress=progress))
    return Facts(tuple(replace(by_stage[s], cases=tuple(next(read) for _ in jobs[s])) for s in by_stage))


def _read_list(stage: str, dataset: VolumeDataset, pipeline: PipelineFacts) -> SplitFacts:
    source = str(dataset.ann_file or dataset.data_root)
    problem, listed = '', {}
    try:
        dataset.read_list(checked=False)
        if dataset.ann_file:
            listed = decathlon_splits(dataset.ann_file, dataset.data_root)
            listed.pop(dataset.unlabelled_split or '', None)
    except (ValueError, OSError) as error:
        problem, dataset.data_list = str(error), []
    return SplitFacts(stage, source, dataset.split, dict(dataset.metainfo), pipeline, problem=problem, listed=listed)


def _jobs(split: SplitFacts, dataset: VolumeDataset, *, voxels: bool) -> Iterator[CaseJob]:
    for number, record in enumerate(dataset.data_list):
        unlabelled = number >= dataset.listed or not dataset.read_labels
        yield CaseJob(record, split.name, split.metainfo, split.pipeline.window, voxels, unlabelled)


def _paths(jobs: list[CaseJob]) -> list[tuple[str, str]]:
    return [(str(job.record['image']), str(job.record.get('label'))) for job in jobs]

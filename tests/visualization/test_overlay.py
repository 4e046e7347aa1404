from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.visualization import VolumeVisualizer, draw_overlay
from medctx3d.visualization.overlay import class_color
from medctx3d.visualization.planes import PLANES, cut, ras_spacing, richest_slices, to_ras

AXIAL, CORONAL, SAGITTAL = PLANES


def test_axial_planes_show_right_on_the_left_and_front_on_top():
    volume = np.zeros((5, 6, 7), int)
    volume[4, 5, 3] = 1  # right, front
    picture = cut(volume, AXIAL, 3)
    assert picture.shape == (6, 5)
    assert picture[0, 0] == 1


def test_coronal_planes_show_right_on_the_left_and_head_on_top():
    volume = np.zeros((5, 6, 7), int)
    volume[4, 2, 6] = 1
    assert cut(volume, CORONAL, 2)[0, 0] == 1


def test_sagittal_planes_show_the_face_on_the_left():
    volume = np.zeros((5, 6, 7), int)
    volume[1, 5, 0] = 1  # front, foot
    assert cut(volume, SAGITTAL, 1)[-1, 0] == 1


def test_any_orientation_gives_the_same_picture():
    generator = np.random.default_rng(0)
    image, labels = generator.random((12, 10, 8)), generator.integers(0, 3, (12, 10, 8))
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    turned = np.array([[0, 0, -1.0, 11], [2.0, 0, 0, 0], [0, -3.0, 0, 21], [0, 0, 0, 1]])  # stored as (Y, -Z, -X)

    def move(volume):
        return volume.transpose(1, 2, 0)[:, ::-1, ::-1]

    np.testing.assert_array_equal(to_ras(move(labels), turned), labels)
    np.testing.assert_array_equal(ras_spacing(turned), [1, 2, 3])
    np.testing.assert_array_equal(
        draw_overlay(move(image), affine=turned, truth=move(labels)), draw_overlay(image, affine=affine, truth=labels)
    )


def test_the_slices_with_most_organs_are_chosen():
    labels = np.zeros((9, 9, 9), int)
    labels[:, :, 1] = 1  # one large organ
    for label in range(2, 6):  # four small ones
        labels[label, 2:8, 7] = label
    assert richest_slices(labels, labels.shape)[2] == 7
    assert richest_slices(None, (4, 6, 8)) == (2, 3, 4)
    assert richest_slices(np.zeros((4, 6, 8), int), (4, 6, 8)) == (2, 3, 4)


def near(picture, color, tolerance=0.02):
    return int((np.abs(picture / 255 - np.asarray(color)).max(-1) < tolerance).sum())


def filled(color, grey=0.0):
    return 0.45 * grey + 0.55 * np.asarray(color)


def test_panels_are_true_to_mm():
    image = np.zeros((20, 20, 10))
    labels = np.full((20, 20, 10), 1)
    picture = draw_overlay(image, affine=np.diag([1.0, 1.0, 4.0, 1.0]), truth=labels)
    columns = np.flatnonzero((np.abs(picture / 255 - filled(class_color(1))).max(-1) < 0.02).any(0))
    middle = picture.shape[1] // 2
    coronal = picture[:, middle] / 255
    height = (np.abs(coronal - filled(class_color(1))).max(-1) < 0.02).sum()
    edges = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    widest = max(len(run) for run in edges)
    assert height / widest == pytest.approx(40 / 20, abs=0.15)


def test_truth_and_prediction_are_filled_and_the_background_is_white():
    image = np.zeros((16, 16, 16))
    truth, prediction = np.zeros((2, 16, 16, 16), int)
    truth[4:12, 4:12, 4:12] = 1
    prediction[4:12, 4:12, 4:12] = 2
    both = draw_overlay(image, affine=np.eye(4), truth=truth, prediction=prediction, classes=('b', 'liver', 'spleen'))
    assert both.dtype == np.uint8
    assert (both[0] == 255).all()
    assert (both[-1] == 255).all()
    for label in (1, 2):
        assert near(both, filled(class_color(label))) > 1000
    plain = draw_overlay(image, affine=np.eye(4))
    assert near(plain, filled(class_color(1))) == 0
    assert plain.shape[0] < both.shape[0]


def test_hidden_cells_are_dimmed_and_striped():
    image = np.ones((16, 16, 16))
    image[0] = 0
    mask = np.zeros((2, 2, 2), bool)
    mask[:, :, 0] = True
    without = draw_overlay(image, affine=np.eye(4), window=(0, 1))
    hidden = draw_overlay(image, affine=np.eye(4), window=(0, 1), mask=torch.from_numpy(mask).numpy())
    assert near(hidden, (0.4, 0.4, 0.4)) > 3000  # dimmed
    assert near(hidden, (0.9, 0.9, 0.9)) > 1000  # stripes
    assert near(without, (0.4, 0.4, 0.4)) < 100


def test_an_organ_that_fills_a_plane_and_a_constant_image_raise_no_warning(recwarn):
    labels = np.ones((8, 8, 8), int)
    draw_overlay(np.zeros((8, 8, 8)), affine=np.eye(4), truth=labels, prediction=labels)
    assert not recwarn.list


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r'\(1, 8, 8, 8\)'):
        draw_overlay(np.zeros((1, 8, 8, 8)), affine=np.eye(4))
    with pytest.raises(ValueError, match='prediction must have the shape'):
        draw_overlay(np.zeros((8, 8, 8)), affine=np.eye(4), prediction=np.zeros((8, 8, 7), int))


def test_colours_of_all_classes_differ():
    colors = [class_color(label) for label in range(1, 60)]
    assert len({tuple(np.round(color, 3)) for color in colors}) == len(colors)


def sample():
    labels = torch.zeros(1, 12, 10, 8, dtype=torch.long)
    labels[0, 2:6, 2:6, 2:6] = 1
    value = VolumeDataSample(metainfo=dict(affine=np.diag([1.0, 1.0, 2.0, 1.0]), case='a'))
    value.gt_sem_seg = VolumeData(data=labels)
    value.pred_sem_seg = VolumeData(data=labels * 2)
    return value


def test_the_visualizer_writes_what_draw_overlay_draws(tmp_path):
    visualizer = VolumeVisualizer()
    visualizer.dataset_meta = dict(classes=('b', 'liver', 'spleen'))
    image = torch.rand(2, 12, 10, 8)
    visualizer.add_datasample('a', image, sample(), draw_pred=False, out_file=tmp_path / 'new' / 'a.png')
    expected = draw_overlay(
        image[0].numpy(),
        affine=sample().affine,
        truth=sample().gt_sem_seg.data[0].numpy(),
        classes=('b', 'liver', 'spleen'),
        title='a',
    )
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'new' / 'a.png'))[..., ::-1], expected)


def test_the_visualizer_hands_pictures_to_the_backends(tmp_path):
    visualizer = VolumeVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.add_datasample('case', torch.rand(1, 12, 10, 8), sample(), step=3)
    assert [file.name for file in tmp_path.rglob('*.png')] == ['case_3.png']


def test_an_image_alone_is_drawn_without_affine():
    visualizer = VolumeVisualizer()
    visualizer.add_datasample('alone', np.random.default_rng(0).random((8, 8, 8)))
    assert visualizer.get_image().shape[2] == 3

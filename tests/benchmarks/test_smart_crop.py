import numpy as np

from benchmarks.scenes import SIZES, scenes
from benchmarks.smart_crop import TARGETS, centre_box, holds, narrowest
from serve_app.images.framing import crop_box


def test_scenes_are_the_same_every_time_and_every_crop_can_hold_their_thing() -> None:
    first, again = (list(scenes(5, narrowest)) for _ in range(2))
    for one, other, size in zip(first, again, SIZES, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.pixels.shape == (size[1], size[0], 3)
        across, down = one.box.right - one.box.left, one.box.bottom - one.box.top
        for target in TARGETS.values():
            crop = centre_box(one.pixels, *target)
            assert across <= crop.right - crop.left
            assert down <= crop.bottom - crop.top


def test_smart_and_central_crops_are_equally_large() -> None:
    for scene in scenes(2, narrowest):
        for target in TARGETS.values():
            smart = crop_box(scene.pixels, *target)
            centre = centre_box(scene.pixels, *target)
            assert smart.right - smart.left == centre.right - centre.left
            assert smart.bottom - smart.top == centre.bottom - centre.top


def test_smart_crops_keep_the_thing_of_most_scenes() -> None:
    kept = [
        holds(crop_box(scene.pixels, *target), scene.box)
        for scene in scenes(8, narrowest)
        for target in TARGETS.values()
    ]
    assert np.mean(kept) >= 0.95

"""Datasets and shards of others: names stay inside their folder, numbers inside their file, and nothing is lost."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from mimbench.cli import main
from mimbench.data import Coco, Shards
from mimbench.data.shards.pack import check, pack

Alter = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of small images in ImageNet's layout."""
    for part, number in (("train", 5), ("val", 2)):
        for label in ("cat", "dog"):
            directory = tmp_path / "folder" / part / label
            directory.mkdir(parents=True)
            for i in range(number):
                Image.new("RGB", (20, 20), (i, 0, 0)).save(directory / f"{i}.png")
    return tmp_path / "folder"


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    pack(folder, tmp_path / "packed", 1000, told=lambda line: None)
    return tmp_path / "packed"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_packing_into_a_folder_with_other_things_changes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    assert main(["data", "pack", str(folder), str(out)]) == 2
    assert snapshot(out) == {"thesis.tex": b"precious"}


def test_packing_over_another_dataset_changes_nothing(folder: Path, packed: Path) -> None:
    before = snapshot(packed)
    for part in ("train", "val"):
        (folder / part / "cat").rename(folder / part / "cow")
    with pytest.raises(ValueError, match="another dataset"):
        pack(folder, packed, 1000, told=lambda line: None)
    assert snapshot(packed) == before


def test_packing_over_a_manifest_that_cannot_be_read_changes_nothing(folder: Path, packed: Path) -> None:
    (packed / "pack.json").write_text("[")
    before = snapshot(packed)
    with pytest.raises(ValueError, match=r"pack\.json cannot be understood"):
        pack(folder, packed, 1000, told=lambda line: None)
    assert snapshot(packed) == before


def _hold(lock: str, held: Any, release: Any) -> None:
    with FileLock(lock):
        held.set()
        release.wait(60)


def test_two_processes_do_not_pack_into_one_folder(folder: Path, packed: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(packed / ".pack.lock"), held, release))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(ValueError, match="Another process is packing"):
            pack(folder, packed, 1000, told=lambda line: None)
    finally:
        release.set()
        other.join()


def test_a_failed_packing_keeps_the_manifest_and_another_size_leaves_no_old_shards(
    folder: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (packed / "pack.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mimbench.data.shards.pack.write_shard", full)
        with pytest.raises(OSError, match="No space"):
            pack(folder, packed, 300, told=lambda line: None)
    assert (packed / "pack.json").read_bytes() == before
    manifest = pack(folder, packed, 10**9, told=lambda line: None)
    kept = {shard.file for shards in manifest.shards.values() for shard in shards}
    assert {path.name for path in packed.glob("*.tar")} == kept
    assert {path.stem for path in packed.glob("*.index")} == {Path(name).stem for name in kept}
    check(packed, told=lambda line: None)


def test_links_that_lead_out_of_the_folder_are_named_and_not_copied(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "train" / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    assert main(["data", "pack", str(folder), str(tmp_path / "out")]) == 2
    assert "link.png is a link that leads out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["data", "pack", str(folder), str(tmp_path / "out"), "--follow-links"]) == 0


def first(values: dict[str, Any]) -> dict[str, Any]:
    return values["shards"]["train"][0]


MANIFESTS: dict[str, Alter] = {
    "a shard outside": lambda values: first(values).update(file="../../secret.tar"),
    "an absolute shard": lambda values: first(values).update(file="/etc/passwd"),
    "a shard of another kind": lambda values: first(values).update(file="train-000000.tar/../x"),
    "negative samples": lambda values: first(values).update(num_samples=-1),
    "more samples than bytes": lambda values: first(values).update(num_samples=10**15, num_bytes=10**9),
    "sizes of text": lambda values: first(values).update(num_bytes="many"),
    "no sizes": lambda values: first(values).clear(),
    "classes that are numbers": lambda values: values.update(classes=[1, 2]),
    "no parts": lambda values: values.update(shards=[]),
    "fewer classes than labels": lambda values: values.update(classes=["cat"]),
}


@pytest.mark.parametrize("fault", MANIFESTS)
def test_manifests_that_lead_elsewhere_are_refused(packed: Path, fault: str) -> None:
    values = json.loads((packed / "pack.json").read_text())
    MANIFESTS[fault](values)
    (packed / "pack.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=str(packed)):
        Shards(packed, holdout=0.2).split("train")


@pytest.mark.parametrize(("column", "value"), [(2, 2**62), (2, -1), (3, 2**62), (3, -5), (1, -1), (1, 99)])
def test_indices_that_lead_out_of_their_shard_are_refused(packed: Path, column: int, value: int) -> None:
    path = next(packed.glob("train-*.index"))
    rows = np.frombuffer(path.read_bytes(), "<i8").reshape(-1, 5).copy()
    rows[0, column] = value
    path.write_bytes(rows.tobytes())
    with pytest.raises(ValueError, match=str(packed)):
        Shards(packed, holdout=0.2).split("train")


def test_an_index_of_a_terabyte_is_not_read(packed: Path) -> None:
    path = next(packed.glob("train-*.index"))
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a hole: the disk keeps nothing of it
    with pytest.raises(ValueError, match="bytes instead of"):
        Shards(packed, holdout=0.2).split("train")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """One image with one object, twice."""
    for part in ("train2017", "val2017"):
        (tmp_path / part).mkdir()
        names = [f"{i}.png" for i in range(3)]
        for name in names:
            Image.new("RGB", (20, 20)).save(tmp_path / part / name)
        box = {"bbox": [1, 1, 5, 5], "segmentation": [[1, 1, 6, 1, 6, 6]], "category_id": 7}
        content = {
            "images": [{"id": i, "file_name": name, "height": 20, "width": 20} for i, name in enumerate(names)],
            "annotations": [{"id": i, "image_id": i} | box for i in range(3)],
            "categories": [{"id": 7, "name": "thing"}],
        }
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
    return tmp_path


def _read_all(source: Coco) -> None:
    for name in ("train", "val"):
        split = source.split(name)
        for i in range(len(split)):
            split.objects(i)


ANNOTATIONS: dict[str, Alter] = {
    "a name with ..": lambda values: values["images"][0].update(file_name="../secret.png"),
    "an absolute name": lambda values: values["images"][0].update(file_name="/etc/passwd"),
    "a name with a zero": lambda values: values["images"][0].update(file_name="a\0.png"),
    "a name that is a number": lambda values: values["images"][0].update(file_name=3),
    "an image larger than memory": lambda values: values["images"][0].update(height=10**6, width=10**6),
    "run lengths of another size": lambda values: values["annotations"][0].update(
        segmentation={"size": [10**5, 10**5], "counts": [10**10]}
    ),
    "run lengths beyond the image": lambda values: values["annotations"][0].update(
        segmentation={"size": [20, 20], "counts": [1, 10**6]}
    ),
    "negative run lengths": lambda values: values["annotations"][0].update(
        segmentation={"size": [20, 20], "counts": [-400, 800]}
    ),
    "polygons of text": lambda values: values["annotations"][0].update(segmentation=[["a"] * 6]),
    "polygons without end": lambda values: values["annotations"][0].update(segmentation=[[float("inf")] * 6]),
    "boxes of lists": lambda values: values["annotations"][0].update(bbox=[[1], 2, 3, 4]),
    "an image that does not exist": lambda values: values["annotations"][0].update(image_id=99),
    "images that are no list": lambda values: values.update(images={"a": 1}),
}


@pytest.mark.parametrize("fault", ANNOTATIONS)
def test_annotations_that_lead_elsewhere_are_refused(coco: Path, fault: str) -> None:
    Coco(coco, holdout=0.3).split("train").objects(0)
    path = coco / "annotations" / "instances_train2017.json"
    values = json.loads(path.read_text())
    ANNOTATIONS[fault](values)
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"instances_train2017\.json"):
        _read_all(Coco(coco, holdout=0.3))

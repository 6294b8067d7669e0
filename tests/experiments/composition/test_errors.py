"""User errors give a one-line message with the remedy and exit status 2, and write nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main

CALLS = {
    "method=mea": ["method", "mae"],
    "encoder=vit_bsae": ["vit_base"],
    "data=fotos": ["photos"],
    "optim.base_lrr=1": ["optim.base_lr"],
    "data.batchsize=3": ["data.batch_size"],
    "+foo=1": ["foo"],
    "+method.foo=1": ["foo"],
    "masker.ratio=1.5": ["ratio", "between 0 and 1"],
    "masker.ratio=0": ["ratio", "between 0 and 1"],
    "masker.ratio=0.99": ["leaves 0 of 16"],
    "encoder.patch_size=7": ["do not divide", "encoder.patch_size"],
    "encoder.num_heads=5": ["heads", "encoder.num_heads"],
    "method=mirl encoder.depth=5": ["even depth", "encoder.depth=6"],
    "method=localmim encoder.depth=3": ["four depths", "encoder.depth=4"],
    "encoder.depth=abc": ["depth", "abc"],
    "encoder.depth=4.5": ["depth", "4.5"],
    "encoder.depth=0": ["encoder.depth is 0; it must be a whole number of at least 1"],
    "encoder.num_heads=0": ["encoder.num_heads is 0; it must be a whole number of at least 1"],
    "optim.base_lr=abc": ["base_lr", "abc"],
    "optim.weight_decay=-1": ["optim.weight_decay is -1; it must be a number of at least 0"],
    "optim.base_lr=nan": ["optim.base_lr"],
    "optim.betas=0.9": ["betas", "0.9"],
    "optim.betas=[0.9]": ["optim.betas is [0.9]; it must be two numbers"],
    "trainer.num_nodes=2": ["a process on every node", "torchrun"],
    "paths.runs=/dev/null/runs data=digits": ["/dev/null", "paths.runs"],
    "budget.epochs=0": ["positive"],
    "budget.epochs=1.5": ["positive whole number"],
    "budget.epochs=many": ["positive whole number"],
    "budget.steps=10": ["one of epochs, steps", "budget=NAME"],
    "experiment=demo budget=steps budget.steps=10 budget.epochs=13": ["got {'epochs': 13, 'steps': 10}", "~budget."],
    # Synonyms from other programs, with the full key; +KEY only for keys that a constructor has.
    "lr=1": ["no key 'lr'. Did you mean optim.base_lr?"],
    "optim.lr=1": ["no key 'optim.lr'. Did you mean optim.base_lr?"],
    "+lr=1": ["Nothing reads the key 'lr'. Did you mean optim.base_lr?"],
    "batch_size=64": ["Did you mean optim.batch_size?"],
    "epochs=3": ["Did you mean budget.epochs?"],
    "trainer.max_epochs=3": ["Did you mean budget.epochs?"],
    "steps=3": ["Did you mean budget=steps budget.steps?"],
    "budget.seconds=3": ["Did you mean budget=seconds budget.seconds?"],
    "patch_size=4": ["Did you mean data.patch_size?"],
    "gpus=2": ["Did you mean trainer.devices?"],
    "trainer.gpus=2": ["Did you mean trainer.devices?"],
    "devices=2": ["Did you mean trainer.devices?"],
    "seeds=0": ["Did you mean seed?"],
    "seeds=0,1": ["no key 'seeds'. Did you mean seed?"],
    "mask_ratio=0.5": ["Did you mean masker.ratio?"],
    "model=vit_base": ["Did you mean encoder?"],
    "dataset=photos": ["Did you mean data?"],
    "--epochs 3": ["no option --epochs", "KEY=VALUE", "budget.epochs"],
    "--seed=3": ["no option --seed", "Write seed=3."],
    "data.flip=true": ["ImageDataModule accepts it: +data.flip=..."],
    "data.flop=true": ["no key 'data.flop'"],
    "protocol=[linear-v9]": ["no protocol 'linear-v9'", "linear_v2"],
    "logger=[wandbb]": ["logger has no option 'wandbb'. Did you mean wandb?"],
    "budget=flops budget.flops=1e3": ["less than one step", "optim.batch_size"],
    "budget=seconds budget.seconds=0": ["positive"],
    "+budget.hours=1": ["hours", "epochs, steps, flops, seconds"],
    "seed=abc": ["seed", "whole number"],
    "resume=nowhere.ckpt": ["nowhere.ckpt", "no such file"],
    "data=folder data.source.root=nowhere": ["nowhere"],
    "data=digits optim.batch_size=100000": ["100000"],
    "data=collages data.source.max_object=2": ["data.source.max_objects"],
    "encoder=swin_tiny encoder.windw=3": ["encoder.window"],
    "encoder=timm encoder.model_name=vit_nope": ["vit_nope", "Similar"],
    "encoder=timm encoder.model_name=resnet18": ["resnet18"],
    "trainer.precision=half": ["half"],
    "data.num_workers=-1": ["num_workers", "whole number"],
    "protocol=[knn,finetune]": ["recipe", "finetune=small"],
    "protocol.knn.ks=[0]": ["ks"],
    "method=mae,mirl": ["-m"],
    # Errors that would otherwise occur after training.
    "data=scenes protocol=knn": ["4000 of 4000 images in train have no label"],
    "data=digits protocol=imagenet_a": ["no folder", "imagenet-a"],
    "data=digits protocol=segment_linear": ["no annotation", "data=scenes"],
    "data=digits experiment=demo protocol=detect_vitdet detect=small": ["no annotation", "objects"],
    # Errors that building the parts does not find.
    "data=digits encoder=swin_tiny encoder.patch_size=1": ["masker with shared=True", "swin.py, line"],
    "data=digits encoder.image_size=64": ["do not work together on images of 32 px", "doesn't match model (64)"],
    "method=deepmim encoder=swin_tiny encoder.patch_size=1 masker=shared": ["method.depths", "method=localmim"],
    "data=digits target=hog target.bins=0": ["bins=0"],
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("call", CALLS)
def test_a_user_error_gives_a_one_line_message(call: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status = main(["run", *call.split()])
    message = capfd.readouterr().err
    assert status == 2, message
    assert all(hint in message for hint in CALLS[call]), message
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["lr=1", "zzz=1", "encoder.drop_path=1", "data.flop=1", "optim.base_lrr=1", "+zzz=1"])
def test_no_hint_proposes_a_key_that_nothing_reads(call: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", call]) == 2
    assert "+" not in capfd.readouterr().err


def test_one_override_sends_the_demo_to_a_cluster(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no cluster here; the option `slots` of the experiment is accepted."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["run", "-m", "experiment=demo", "hydra/launcher=slurm", "method=mae,localmim"]) == 2
    assert "SLURM does not answer" in capfd.readouterr().err


def test_an_interrupted_command_prints_a_message(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(words: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mimbench.cli.report.main", interrupted)
    assert main(["report", "runs"]) == 130
    assert capfd.readouterr().err == "mimbench report: Interrupted.\n"


def test_a_sweep_of_refused_runs_is_a_user_error(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "-m", "masker.ratio=1.5,2"]) == 2
    assert "between 0 and 1" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_suggests_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["reprot"]) == 2
    assert "report" in capfd.readouterr().err


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capfd.readouterr().out
    assert all(command in text for command in ("run", "report"))

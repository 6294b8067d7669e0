from functools import partial

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from mimbench.encoders import vit
from mimbench.evaluation import KNN, OnlineKNN, run_protocols
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.optim import Recipe
from mimbench.targets import PixelTarget


@pytest.fixture
def method(encoder):
    return MAE(encoder, RandomMasker(0.5), partial(PixelTarget), dim=16, num_blocks=1, num_heads=2)


def fit(method, datamodule, callbacks, tmp_path, epochs=4):
    method.recipe = Recipe(warmup_epochs=0.5)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=tmp_path,
    )
    trainer.fit(method, datamodule)
    return trainer


def test_it_is_the_knn_of_the_last_depth_on_val(method, datamodule):
    # All images are among the chosen ones here, so that val_accuracy of the protocol is the same number.
    online = OnlineKNN(num_train=1000, num_val=1000, k=5).accuracy(method, datamodule)
    assert online == run_protocols([KNN(ks=[5])], method.encoder, datamodule)["knn-v1+ks=5"]["val_accuracy"]


def test_it_is_logged_every_n_epochs(method, datamodule, tmp_path):
    values = []

    class Watch(OnlineKNN):
        def accuracy(self, method, datamodule):
            values.append(method.current_epoch)
            return super().accuracy(method, datamodule)

    trainer = fit(method, datamodule, [Watch(every_n_epochs=2, num_train=32, num_val=16, k=3)], tmp_path, epochs=5)
    assert values == [1, 3]
    assert 0 <= float(trainer.callback_metrics["knn"]) <= 1


@pytest.mark.filterwarnings("ignore:.*WeightAveraging callback with a model")
def test_it_sees_the_averaged_weights_where_these_are_validated(method, datamodule, tmp_path):
    average, seen = EMAWeightAveraging(decay=0.5, use_buffers=False), []

    class Watch(OnlineKNN):
        def accuracy(self, method, datamodule):
            seen.append(method.encoder.trunk.cls_token.clone())
            return super().accuracy(method, datamodule)

    fit(method, datamodule, [Watch(every_n_epochs=1, num_train=32, num_val=16, k=3), average], tmp_path, epochs=1)
    assert torch.equal(seen[0], average._average_model.module.encoder.trunk.cls_token)


def test_training_with_it_gives_the_same_weights(datamodule, tmp_path):
    def weights(callbacks):
        torch.manual_seed(0)
        encoder = vit(image_size=16, patch_size=8, width=32, depth=2, num_heads=2)
        encoder.trunk.pos_drop = torch.nn.Dropout(0.2)  # draws from PyTorch's default generator
        method = MAE(encoder, RandomMasker(0.5), partial(PixelTarget), dim=16, num_blocks=1, num_heads=2)
        fit(method, datamodule, callbacks, tmp_path)
        return torch.cat([p.detach().flatten() for p in method.parameters()])

    assert torch.equal(weights([]), weights([OnlineKNN(every_n_epochs=1, num_train=32, num_val=16, k=3)]))


def test_the_test_split_is_never_read(method, datamodule, monkeypatch):
    read, split = [], datamodule.split
    monkeypatch.setattr(datamodule, "split", lambda name: read.append(name) or split(name))
    OnlineKNN(k=5).accuracy(method, datamodule)
    assert set(read) == {"train", "val"}


def test_it_leaves_train_mode_and_random_state(method, datamodule):
    method.train()
    state = torch.get_rng_state()
    OnlineKNN(k=5).accuracy(method, datamodule)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in method.modules())


def test_data_without_labels_are_refused_before_training(method, datamodule, tmp_path):
    datamodule.split("val").labels[3] = -1
    with pytest.raises(ValueError, match="1 of 20 images in val have no label"):
        fit(method, datamodule, [OnlineKNN(k=5)], tmp_path)
    assert method.global_step == 0


@pytest.mark.parametrize("wrong", [{"every_n_epochs": 0}, {"k": 30, "num_train": 20}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        OnlineKNN(**wrong)

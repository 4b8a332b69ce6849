"""Laws of the fit loop: what it learns, in which order, and what it refuses."""

import random
import shutil

import numpy as np
import pytest
import torch
from fit_runs import assert_same_weights, counted, final_weights
from torch import nn
from torch._inductor import config as inductor
from torch.nn.functional import mse_loss
from torch.optim.optimizer import register_optimizer_step_pre_hook

from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import load_checkpoint, load_weights
from monarch_core.training.fit import fit


def seed_all():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def test_it_learns_and_keeps_the_best_epoch(tmp_path, tiny_model, tiny_data, fit_config):
    model = tiny_model()
    valid = tiny_data(7, seed=1)
    config = fit_config(epochs=30, learning_rate=0.3, schedule="constant")
    fit(model, mse_loss, tiny_data(), valid, config, tmp_path)
    errors = [record["valid_error"] for record in RunFolder(tmp_path).log.read()]
    assert min(errors) < 0.1 * errors[0]
    assert errors[-1] > min(errors)  # otherwise best and last could not be told apart
    load_weights(tmp_path / "weights.pt", model)
    with torch.no_grad():
        error = mse_loss(model(valid.x, torch.ones(7, 3)), valid.y)
    assert error.item() == pytest.approx(min(errors), rel=1e-5)


def test_metric_chooses_the_epoch(tmp_path, tiny_model, tiny_data, fit_config):
    def worse_and_worse(call, value):
        return torch.tensor(call + 1.0)

    model, data = tiny_model(), tiny_data(3)
    fit(model, mse_loss, data, data, fit_config(), tmp_path, metric=counted(worse_and_worse))
    assert [record["valid_error"] for record in RunFolder(tmp_path).log.read()] == [1, 2, 3]
    first = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert not torch.equal(first["linear.weight"], model.linear.weight)


def test_log_has_a_complete_line_for_every_epoch(tmp_path, tiny_model, tiny_data, fit_config):
    config = fit_config(transform_learning_rate=0.03, schedule="step", step_epochs=2)
    fit(tiny_model(), mse_loss, tiny_data(), tiny_data(), config, tmp_path)
    records = RunFolder(tmp_path).log.read()
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["learning_rate"] for record in records] == [0.01, 0.01, 0.005]
    assert [record["transform_learning_rate"] for record in records] == [0.03, 0.03, 0.015]
    for record in records:
        assert record["seconds"] > 0
        assert record["valid_seconds"] > 0
        assert 10e6 < record["peak_memory_bytes"] < 1e12
        assert "threads" in record["device"]


def test_averages_weigh_samples_not_batches(tmp_path, tiny_model, tiny_data, fit_config):
    def first_entry(prediction, target):
        return target[:, 0].mean() + 0 * prediction.sum()

    data = tiny_data(7)
    config = fit_config(epochs=1, batch_size=4)  # batches of 4 and 3
    fit(tiny_model(), first_entry, data, data, config, tmp_path)
    (record,) = RunFolder(tmp_path).log.read()
    assert record["train_loss"] == pytest.approx(data.y[:, 0].mean().item(), rel=1e-6)
    assert record["valid_error"] == pytest.approx(data.y[:, 0].mean().item(), rel=1e-6)


def test_seed_alone_determines_the_run(tmp_path, tiny_model, tiny_data, fit_config):
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        seed_all()
        model, data = tiny_model(dropout=0.3), tiny_data(noise=0.1)
        fit(model, mse_loss, data, data, fit_config(), tmp_path / name, seed=seed)
    a, b, c = (final_weights(tmp_path / name) for name in "abc")
    assert_same_weights(a, b)
    assert not torch.equal(a["linear.weight"], c["linear.weight"])


def test_workers_change_nothing(tmp_path, tiny_model, tiny_data, fit_config):
    for n_workers in (0, 2):
        config = fit_config(num_workers=n_workers, epochs=2)
        fit(tiny_model(), mse_loss, tiny_data(), tiny_data(), config, tmp_path / str(n_workers))
    assert_same_weights(final_weights(tmp_path / "0"), final_weights(tmp_path / "2"))


def test_nan_in_the_data_is_blamed_on_the_data(tmp_path, tiny_model, tiny_data, fit_config):
    data = tiny_data()
    data.y[4, 1] = float("nan")
    message = (
        r"loss is nan in epoch 1, step \d of 3, .*the target of sample 4 of the training split"
    )
    with pytest.raises(ValueError, match=message):
        fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path)
    saved = load_checkpoint(tmp_path / "aborted.pt")
    assert saved["epoch"] == 0
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_divergence_is_blamed_on_the_rates_and_keeps_finished_epochs(
    tmp_path, tiny_model, tiny_data, fit_config
):
    def diverging(call, value):
        return value if call < 13 else (value * 1e38) ** 2

    data = tiny_data()
    with pytest.raises(ValueError, match=r"lower fit\.learning_rate") as caught:
        fit(tiny_model(), counted(diverging), data, data, fit_config(), tmp_path)
    message = str(caught.value)
    assert "inf in epoch 3, step 2 of 3, at learning rates 0.01 (model)" in message
    assert "2 finished epochs are kept" in message
    assert "aborted.pt" in message
    assert "\n" not in message
    assert load_checkpoint(tmp_path / "checkpoint.pt")["epoch"] == 2
    aborted = load_checkpoint(tmp_path / "aborted.pt")["model"]
    assert not torch.equal(aborted["linear.weight"], final_weights(tmp_path)["linear.weight"])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_validation_error_that_is_not_finite_stops_the_run_and_keeps_the_epochs_before(
    tmp_path, tiny_model, tiny_data, fit_config, value
):
    def undefined(call, error):
        return error if call < 2 else (error * 0 + 1e38) ** 2 * float(value)

    data = tiny_data(3)
    with pytest.raises(ValueError, match=f"the validation error is {value}; .*2 finished epochs"):
        fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path, metric=counted(undefined))
    assert [record["epoch"] for record in RunFolder(tmp_path).log.read()] == [1, 2]
    checkpoint, aborted = (load_checkpoint(tmp_path / f"{n}.pt") for n in ("checkpoint", "aborted"))
    assert (checkpoint["epoch"], aborted["epoch"]) == (2, 2)
    assert not torch.equal(checkpoint["model"]["linear.bias"], aborted["model"]["linear.bias"])


def test_a_first_epoch_without_a_finite_validation_error_leaves_no_weights(
    tmp_path, tiny_model, tiny_data, fit_config
):
    valid = tiny_data(7)
    valid.x[5, 0] = float("inf")
    message = "input 0 of sample 5 of the validation split .counted from 0. already held NaN"
    for model in (tiny_model(), tiny_model().requires_grad_(False)):
        with pytest.raises(ValueError, match=message):
            fit(model, mse_loss, tiny_data(), valid, fit_config(), tmp_path)
        assert not (tmp_path / "weights.pt").exists()
        assert not (tmp_path / "checkpoint.pt").exists()


def relative_error(prediction, target):
    return ((prediction - target).norm(dim=1) / target.norm(dim=1)).mean()


@pytest.mark.parametrize("split", ["training", "validation"])
def test_a_target_of_zeros_is_blamed_on_the_data_and_not_on_the_rates(
    tmp_path, tiny_model, tiny_data, fit_config, split
):
    splits = {"training": tiny_data(9), "validation": tiny_data(9, seed=1)}
    splits[split].y[[2, 7]] = 0
    message = (
        rf"the target of samples? [27](, [27])? of the {split} split .counted from 0. is zero "
        "everywhere, so even a perfect prediction has no finite relative_error: leave such"
    )
    with pytest.raises(ValueError, match=message) as caught:
        fit(tiny_model(), relative_error, *splits.values(), fit_config(), tmp_path)
    assert "learning_rate" not in str(caught.value).partition("is zero everywhere")[2]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "soap"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_an_infinite_gradient_stops_the_run_before_the_optimiser_sees_it(
    tmp_path, tiny_model, tiny_data, fit_config, optimizer, clip
):
    class InfiniteGradient(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient * float("inf")

    def steep(call, value):
        return InfiniteGradient.apply(value) if call == 2 * 6 + 1 else value

    data, config = tiny_data(), fit_config(optimizer=optimizer, gradient_clip=clip)
    with pytest.raises(
        ValueError, match=r"training gradient has norm (inf|nan) in epoch 3, step 2"
    ):
        fit(tiny_model(), counted(steep), data, data, config, tmp_path)
    saved = load_checkpoint(tmp_path / "aborted.pt")
    tensors = torch.utils._pytree.tree_leaves([saved["model"], saved["optimizer"]])
    assert all(x.isfinite().all() for x in tensors if isinstance(x, torch.Tensor))
    fit(tiny_model(), mse_loss, data, data, config, tmp_path)
    fit(tiny_model(), mse_loss, data, data, config, tmp_path / "undisturbed")
    assert_same_weights(final_weights(tmp_path), final_weights(tmp_path / "undisturbed"))
    assert not (tmp_path / "aborted.pt").exists()


def test_each_group_moves_at_its_own_rate(tmp_path, tiny_model, tiny_data, fit_config):
    # The first step of Adam moves every parameter by its rate, whatever the gradient is.
    before, after, data = tiny_model(), tiny_model(), tiny_data()
    config = fit_config(
        epochs=1,
        batch_size=11,
        learning_rate=1e-3,
        transform_learning_rate=1e-2,
        weight_decay=0.0,
        schedule="constant",
    )
    fit(after, mse_loss, data, data, config, tmp_path)
    moved = {
        name: (p - q).abs().detach()
        for (name, p), q in zip(after.named_parameters(), before.parameters(), strict=True)
    }
    for name, distance in moved.items():
        rate = 1e-2 if name.startswith("transform") else 1e-3
        expected = torch.full_like(distance, rate)
        if name == "phase":
            continue  # real and imaginary part move by the rate each, where they have a gradient
        torch.testing.assert_close(distance, expected, rtol=0.02, atol=0)


def test_gradients_are_clipped_together(tmp_path, tiny_model, tiny_data, fit_config):
    norms = []

    def record_norm(optimizer, args, kwargs):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.stack([g.norm() for g in gradients]).norm().item())

    data = tiny_data()
    for clip in (None, 0.25):
        with register_optimizer_step_pre_hook(record_norm):
            config = fit_config(epochs=1, batch_size=11, gradient_clip=clip)
            fit(tiny_model(), mse_loss, data, data, config, tmp_path / str(clip))
    assert norms[0] > 1
    assert norms[1] == pytest.approx(0.25, rel=1e-4)


def test_bf16_keeps_weights_inputs_and_loss_in_float32(tmp_path, tiny_data, fit_config):
    seen = {}

    class Spy(nn.Linear):
        def forward(self, x, shift):
            y = super().forward(x)
            seen.update(input=x.dtype, product=y.dtype)
            return y

    def spying_loss(prediction, target):
        seen.update(prediction=prediction.dtype)
        return mse_loss(prediction, target)

    torch.manual_seed(0)
    model, data = Spy(5, 3), tiny_data()
    config = fit_config(precision="bf16-mixed", epochs=20, learning_rate=0.1, schedule="constant")
    fit(model, spying_loss, data, data, config, tmp_path)
    assert seen == {
        "input": torch.float32,
        "product": torch.bfloat16,
        "prediction": torch.float32,
    }
    assert model.weight.dtype == torch.float32
    errors = [record["valid_error"] for record in RunFolder(tmp_path).log.read()]
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of inductor itself
def test_a_compiled_model_trains_to_the_same_weights(tmp_path, tiny_data, fit_config):
    compiling = []

    class Shifted(nn.Linear):
        def forward(self, x, shift):
            compiling.append(torch.compiler.is_compiling())
            return super().forward(x) + shift

    data = tiny_data()
    for compiled in (False, True):
        seed_all()
        compiling.clear()
        folder = tmp_path / str(compiled)
        with inductor.patch({"cpp.vec_isa_ok": False}):  # to try which there are takes ten seconds
            fit(Shifted(5, 3), mse_loss, data, data, fit_config(compile=compiled), folder)
        assert any(compiling) == compiled
    eager, compiled = (final_weights(tmp_path / str(flag)) for flag in (False, True))
    assert_same_weights(compiled, eager, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("precision", "products"), [("tf32", "high"), ("32-true", "highest")])
def test_tf32_is_allowed_while_training_only(
    tmp_path, tiny_model, tiny_data, fit_config, precision, products
):
    seen = set()

    def spying_loss(prediction, target):
        seen.add(torch.get_float32_matmul_precision())
        return mse_loss(prediction, target)

    data = tiny_data()
    fit(tiny_model(), spying_loss, data, data, fit_config(precision=precision), tmp_path)
    assert seen == {products}
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_model_with_nothing_to_learn_is_measured_and_saved(
    tmp_path, tiny_model, tiny_data, fit_config
):
    model, data = tiny_model().requires_grad_(False), tiny_data()
    fit(model, mse_loss, data, data, fit_config(), tmp_path)
    (record,) = RunFolder(tmp_path).log.read()
    with torch.no_grad():
        error = mse_loss(model(data.x, torch.ones(11, 3)), data.y).item()
    assert record["valid_error"] == pytest.approx(error, rel=1e-6)
    assert (record["epoch"], record["train_loss"], record["seconds"]) == (0, None, 0)
    load_weights(tmp_path / "weights.pt", tiny_model())


def test_empty_splits_are_refused(tmp_path, tiny_model, tiny_data, fit_config):
    with pytest.raises(ValueError, match="the validation split is empty"):
        fit(tiny_model(), mse_loss, tiny_data(), tiny_data(0), fit_config(), tmp_path)


def test_the_data_are_told_every_epoch(tmp_path, tiny_model, tiny_data, fit_config):
    epochs = []

    class DataByEpoch(tiny_data):
        def set_epoch(self, epoch):
            epochs.append(epoch)

    fit(tiny_model(), mse_loss, DataByEpoch(11), tiny_data(4), fit_config(epochs=3), tmp_path)
    assert epochs == [0, 1, 2]

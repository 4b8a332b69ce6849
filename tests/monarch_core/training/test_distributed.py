"""Several processes train as one."""

import pytest
import torch
from fit_runs import assert_same_weights, final_weights, run_prepared
from torch.nn.functional import mse_loss
from torch.optim.optimizer import register_optimizer_step_pre_hook

from monarch_core.runs.folder import RunFolder
from monarch_core.training.fit import fit

FORKED = """
import socket

def in_two_processes(work):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in ("0", "1"):  # two processes with the environment that torchrun gives them
        children.append(os.fork())
        if children[-1] > 0:
            continue
        os.environ.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
        os.environ.update(GROUP_RANK="0", TORCHELASTIC_RUN_ID="none")
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        work(rank)
        torch.distributed.destroy_process_group()
        sys.exit()
    return any(os.waitpid(child, 0)[1] for child in children)
"""
TWO_PROCESSES = f"""{FORKED}
from dataclasses import dataclass, field
from omegaconf import OmegaConf
from monarch_core.training.start import start_run

@dataclass
class Config:
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 3

def work(rank):
    own_folder = sys.argv[2] + rank  # as with a time stamp in its name
    raw = {{"run_dir": own_folder, "fit": {{**values, **CHANGED}}}}
    config, run_dir = start_run(OmegaConf.create(raw), Config)
    model, train, valid = TinyModel(), TinyData(10), TinyData(7, seed=1)
    fit(model, mse_loss, train, valid, config.fit, run_dir)
    assert (run_dir / "weights.pt").exists()

sys.exit(in_two_processes(work))
"""
KILLED = f"""{FORKED}
def train(name, kill_at=None):
    n_calls = 0

    def loss(prediction, target):
        nonlocal n_calls
        n_calls += 1
        if n_calls == kill_at:
            os._exit(0)
        return mse_loss(prediction, target)

    def work(rank):
        for seeded in (random.seed, np.random.seed, torch.manual_seed):
            seeded(0)
        model, data = TinyModel(dropout=0.5), TinyData(10, noise=0.1)
        config = FitConfig(epochs=4, **values)
        fit(model, loss, data, TinyData(7, seed=1), config, Path(sys.argv[2], name))

    assert not in_two_processes(work)

train("whole")
train("killed", kill_at=13)  # 3 training and 2 validation batches per epoch: in the third
train("killed")
"""


def two_processes(tmp_path, **changed):
    run_prepared(f"CHANGED = {changed}\n{TWO_PROCESSES}", tmp_path, tmp_path / "two")


def test_two_processes_choose_the_rate_of_the_transforms_as_one(
    tmp_path, tiny_model, tiny_data, fit_config
):
    changed = {"epochs": 2, "batch_size": 3, "transform_learning_rate": None}
    two_processes(tmp_path, **changed)
    valid = tiny_data(7, seed=1)
    fit(tiny_model(), mse_loss, tiny_data(10), valid, fit_config(**changed), tmp_path / "one")
    rates = [
        RunFolder(tmp_path / name).log.read()[0]["transform_learning_rate"]
        for name in ("one", "two0")
    ]
    assert rates[0] == pytest.approx(rates[1])
    one, two = (final_weights(tmp_path / name) for name in ("one", "two0"))
    assert_same_weights(one, two, rtol=1e-3, atol=1e-5)


def test_two_processes_train_as_one(tmp_path, tiny_model, tiny_data, fit_config):
    # 10 samples in batches of 3: shares of 2 and 1, and none for the second process in the end.
    # Weight decay inside the gradient makes Adam sensitive to the scale of the gradient.
    changed = {"epochs": 2, "batch_size": 3, "weight_decay": 0.3}
    two_processes(tmp_path, **changed)
    assert not (tmp_path / "two1").exists()
    config = fit_config(**changed)
    valid = tiny_data(7, seed=1)
    fit(tiny_model(), mse_loss, tiny_data(10), valid, config, tmp_path / "one")
    one, two = (final_weights(tmp_path / name) for name in ("one", "two0"))
    assert_same_weights(one, two, rtol=1e-5, atol=1e-6)
    for a, b in zip(
        RunFolder(tmp_path / "one").log.read(), RunFolder(tmp_path / "two0").log.read(), strict=True
    ):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
        assert a["valid_error"] == pytest.approx(b["valid_error"], rel=1e-5)
        assert b["device"].startswith("2 x ")


def test_soap_over_two_processes_is_as_far_from_one_as_a_rounding_of_the_gradient_takes_it(
    tmp_path, tiny_model, tiny_data, fit_config
):
    """Few gradients leave most eigenvectors to rounding, so the paths part; the errors do not."""
    changed = {"optimizer": "soap", "epochs": 6, "batch_size": 3}
    two_processes(tmp_path, **changed)

    def nudge(optimizer, args, kwargs):
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            gradient = (
                torch.view_as_real(parameter.grad) if parameter.is_complex() else parameter.grad
            )
            ulps = torch.randint(-1, 2, gradient.shape, generator=generator)
            gradient.mul_(1 + torch.finfo(gradient.dtype).eps * ulps)

    generator = torch.Generator().manual_seed(0)
    data = tiny_data(10), tiny_data(7, seed=1)
    fit(tiny_model(), mse_loss, *data, fit_config(**changed), tmp_path / "one")
    with register_optimizer_step_pre_hook(nudge):
        fit(tiny_model(), mse_loss, *data, fit_config(**changed), tmp_path / "nudged")
    one, nudged, two = (flat_weights(tmp_path / name) for name in ("one", "nudged", "two0"))
    by_rounding, by_processes = ((w - one).norm() / one.norm() for w in (nudged, two))
    assert 1e-3 < by_rounding < 0.2
    assert by_processes < 5 * by_rounding
    errors = [
        RunFolder(tmp_path / name).log.read()[-1]["valid_error"]
        for name in ("one", "nudged", "two0")
    ]
    assert errors[1:] == pytest.approx([errors[0]] * 2, rel=0.02)


def flat_weights(run_dir):
    weights = final_weights(run_dir).values()
    return torch.cat([torch.view_as_real(w.to(torch.complex64)).flatten() for w in weights])


def test_two_processes_that_are_killed_end_with_the_same_weights(tmp_path):
    """Each draws numbers of its own, for its dropout and its data, and no checkpoint has those."""
    run_prepared(KILLED, tmp_path, tmp_path)
    whole, killed = (final_weights(tmp_path / name) for name in ("whole", "killed"))
    assert_same_weights(killed, whole)

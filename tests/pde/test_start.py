"""A run that starts from the weights of another one computes what that one did."""

import json
import pickle
import zipfile

import pytest
import torch
from neuralop.models import FNO
from pde_configs import config_of

from monarch_core import MonarchSpectralConv
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import save_config
from monarch_core.training.checkpoint import read_state, save_weights
from pde.config.own import OwnConfig
from pde.models import build_model, load_model
from pde.models.start import check_start, start_model

SMALL = ["model.n_modes=4", "model.hidden_channels=4", "model.n_layers=2", "dataset.grid=16"]


class Train(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return (torch.full((4, 8, 8), float(i)),), torch.full((10, 8, 8), float(i))


def run_of(folder, *overrides):
    """A run folder whose network has left its start, transforms too."""
    config = config_of(*SMALL, *overrides)
    torch.manual_seed(0)
    model = build_model(config, config.dataset.points)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
        model.mean.fill_(0.3)
    folder.mkdir()
    save_config(folder, config)
    save_weights(folder / "weights.pt", model)
    return model


def started(tmp_path, *overrides):
    config = config_of(*SMALL, f"weights={tmp_path / 'source'}", *overrides)
    torch.manual_seed(1)
    run_dir = tmp_path / "new"
    run_dir.mkdir(exist_ok=True)
    check_start(config, run_dir)
    model = build_model(config, config.dataset.points)
    transfer = start_model(model, Train(), config, run_dir)
    return model, transfer


def assert_same(model, source, grid=16):
    frames = torch.randn(2, 4, grid, grid)
    torch.testing.assert_close(model(frames), source(frames), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("there", "here", "grid", "n_left"),
    [
        ([], [], 16, 0),
        (["model=tfno"], ["model=tfno"], 16, 0),
        ([], ["dataset.grid=32", "model.transform_grid=[16,16]"], 32, 0),
        (["transform=dense"], ["transform=dense"], 16, 0),
        (["transform=fft"], [], 16, 2),
        (["transform=fft"], ["dataset.grid=32"], 32, 2),
        (["transform=fft"], ["transform=fft", "dataset.grid=32"], 32, 0),
        (["transform=monarch_frozen"], ["dataset.grid=24"], 24, 8),
    ],
)
def test_it_computes_what_the_source_does(tmp_path, there, here, grid, n_left):
    source = run_of(tmp_path / "source", *there)
    model, transfer = started(tmp_path, *here)
    assert_same(model, source, grid)
    assert len(transfer.left) == n_left
    origin = json.loads((tmp_path / "new/started_from.json").read_text())
    assert origin["weights"] == str(tmp_path / "source")
    assert (len(origin["left"]), origin["normalization"]) == (n_left, "its own")


def test_the_normalization_may_be_that_of_the_new_data(tmp_path):
    run_of(tmp_path / "source")
    model, _ = started(tmp_path, "renormalize=true")
    torch.testing.assert_close(model.mean, torch.tensor(1.0))


def test_a_run_that_goes_on_needs_its_source_no_more(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/checkpoint.pt").touch()
    assert started(tmp_path)[1] is None


@pytest.mark.parametrize(
    ("here", "message"),
    [
        (["dataset.n_input_frames=3"], "has 4 frames in, and this run 3; choose .*n_input_frames"),
        (
            ["model.hidden_channels=6"],
            r"another network: model.hidden_channels=6 \(there 4\); give",
        ),
        (["model=fno_fast"], r"model.architecture=fno_fast \(there fno\)"),
        (
            ["dataset.grid=32"],
            r"learned on 16 points, .* on 32 \(set model.transform_grid=\[16, 16",
        ),
        (["transform=fft"], "is a SpectralConv here and a MonarchSpectralConv there"),
        (["transform=dense"], "transforms.0.weight is not there"),
        (["weights=/none/such"], "weights=/none/such is neither the folder of a run nor a file"),
    ],
)
def test_another_network_is_refused_and_nothing_is_changed(tmp_path, here, message):
    run_of(tmp_path / "source")
    with pytest.raises(ValueError, match=message):
        started(tmp_path, *here)
    assert not (tmp_path / "new/started_from.json").exists()


OWN = {"path": "a.npy", "key": "u", "periodic": [True, True], "grid": [16, 16], "n_input_frames": 4,
       "n_output_frames": 5, "channels": ["u"]}  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            {"channels": ["u", "v"]},
            "has 4 channels in, and this run 8; choose .* dataset.channels",
        ),
        (
            {"constants": ["a"]},
            "channels in, .* dataset.channels or dataset.constants or dataset.p",
        ),
        ({"grid": [16], "periodic": [True]}, "has 2 axes, and this run 1; choose .* dataset.axes"),
    ],
)
def test_data_that_do_not_fit_name_the_options_that_choose_them(tmp_path, dataset, message):
    run_of(tmp_path / "source")
    config = config_of(*SMALL, f"weights={tmp_path / 'source'}")
    config.dataset = OwnConfig(**{**OWN, **dataset})
    with pytest.raises(ValueError, match=message):
        check_start(config, tmp_path)


@pytest.mark.parametrize("key", ["channels", "constants"])
def test_the_same_fields_in_another_order_are_refused(tmp_path, key):
    run_of(tmp_path / "source")
    source = config_of(*SMALL)
    source.dataset = OwnConfig(**{**OWN, key: ["u", "v"]})
    save_config(tmp_path / "source", source)
    config = config_of(*SMALL, f"weights={tmp_path / 'source'}")
    config.dataset = OwnConfig(**{**OWN, key: ["v", "u"], "path": "b.npy"})
    with pytest.raises(ValueError, match=rf"this run v, u; say dataset\.{key}=\[u,v\]"):
        check_start(config, tmp_path)
    config.dataset = source.dataset
    check_start(config, tmp_path)


def test_data_without_such_options_are_chosen_as_they_were(tmp_path):
    run_of(tmp_path / "source")
    config = config_of("dataset=burgers", f"weights={tmp_path / 'source'}")
    with pytest.raises(ValueError, match=r"has 2 axes|frames in.*such as dataset=navier_stokes"):
        check_start(config, tmp_path)


@pytest.mark.parametrize("noted", [["dataset=own", "dataset.path=a.npy", "dataset.key=u"], []])
def test_weights_of_own_data_are_not_trained_on_by_chance(tmp_path, monkeypatch, noted):
    run_of(tmp_path / "source")
    source = config_of(*SMALL)
    source.dataset = OwnConfig(**OWN)
    save_config(tmp_path / "source", source)
    (tmp_path / "source/.hydra").mkdir()
    (tmp_path / "source/.hydra/overrides.yaml").write_text(json.dumps(noted))
    config = config_of(*SMALL, f"weights={tmp_path / 'source'}")
    asked = ["weights=x"]
    monkeypatch.setattr("monarch_core.training.origin.asked_overrides", lambda: asked)
    same = "dataset.path=a.npy dataset.key=u" if noted else "dataset.path=a.npy"
    with pytest.raises(
        ValueError, match=f"names no data; give {same} for the same, dataset=navier"
    ):
        check_start(config, tmp_path)
    asked.append("dataset=navier_stokes")
    check_start(config, tmp_path)


@pytest.mark.parametrize("transform", ["fft", "monarch"])
def test_the_state_dict_of_a_network_of_neuralop_is_taken(tmp_path, transform):
    host = FNO((8, 8), in_channels=4, out_channels=1, hidden_channels=4, n_layers=2)
    torch.save(host.state_dict(), tmp_path / "source")
    options = ["model=fno_neuralop", "model.lifting_channels=8", "model.projection_channels=8"]
    model, _ = started(tmp_path, *options, f"transform={transform}")
    x = torch.randn(2, 4, 16, 16)
    torch.testing.assert_close(model.step(x), host(x), rtol=1e-5, atol=1e-5)
    assert model.mean == 1  # of the data: the file has none
    with pytest.raises(ValueError, match=r"another network than .*: .* in the file and .*give its"):
        started(tmp_path, *options, "model.n_modes=3")
    with pytest.raises(ValueError, match="is a file, which networks of neuralop read, got model="):
        started(tmp_path, "model=fno_fast")


def test_what_a_file_names_is_not_called(tmp_path):
    class Bad:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'called')!r}, 'w')",))

    torch.save({"a": torch.ones(2), "b": 1}, tmp_path / "file.pt")
    with zipfile.ZipFile(tmp_path / "file.pt") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as archive:
        for name, content in parts.items():
            archive.writestr(
                name, pickle.dumps({"b": Bad()}, 2) if name.endswith("data.pkl") else content
            )
    state = read_state(tmp_path / "file.pt")
    assert type(state["b"]).__name__ == "_Ignored"
    assert not (tmp_path / "called").exists()


def test_a_trained_model_is_loaded_in_one_line(tmp_path):
    source = run_of(tmp_path / "source").eval()
    model, config = load_model(str(tmp_path / "source"))
    assert not model.training
    assert config.dataset.grid == 16
    assert_same(model, source)
    assert any(isinstance(m, MonarchSpectralConv) for m in model.modules())
    assert RunFolder(tmp_path / "source").weights.is_file()

import copy
import itertools
import random
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
import torch
import yaml
from mri_scans import GRID, config, masks_of_an_epoch, write_scan
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.mri.simulate import SimulateRecipe
from data_scripts.recipe import ensure, produce
from monarch_core.runs.schema import load_config, save_config
from monarch_core.training.transform_config import TransformConfig
from mri.config.dataset import RECIPES, DatasetConfig
from mri.config.run import MriConfig
from mri.dataset.splits import load_splits

# Python 3.12 warns of every fork of a process with threads; torch's workers are forked on Linux
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def test_an_item_is_the_undersampled_slice_of_its_file(root):
    splits = load_splits(config(root))
    assert (splits.grid, splits.n_coils, splits.n_echoes) == (GRID, 3, 2)
    assert [len(s) for s in (splits.train, splits.valid, splits.test)] == [6, 3, 3]
    (kspace, maps, mask), target = splits.train[4]
    key = splits.train.key(4)
    assert (key.scan_id, key.slice_index, key.echo_names) == ("b", 1, ("echo1", "echo2"))
    with h5py.File(root / "b.h5") as file:
        full = file["kspace"][1]
        np.testing.assert_array_equal(maps, file["maps"][1])
        np.testing.assert_array_equal(target, file["target"][1])
    np.testing.assert_array_equal(kspace, full * mask.numpy())
    assert (kspace.dtype, mask.dtype, target.dtype) == (
        torch.complex64,
        torch.float32,
        torch.complex64,
    )
    assert mask.mean().item() == pytest.approx(0.5, abs=0.1)


def test_scans_and_their_slices_can_be_found(root):
    train = load_splits(config(root)).train
    assert train.scan_ids == ["a", "b"]
    assert train.slices_of("b") == [3, 4, 5]
    assert train.info("b").licence == "CC0-1.0"


def test_separate_echoes_are_the_echoes_of_the_item_that_has_both(root):
    both = load_splits(config(root)).train
    separate = load_splits(config(root, echoes="separate")).train
    assert separate.slices_of("b") == [6, 7, 8, 9, 10, 11]
    assert separate.key(9).echo_names == ("echo2",)
    assert torch.equal(separate[9][0][0], both[4][0][0][1:])
    assert torch.equal(separate[9][1], both[4][1][1:])
    second = load_splits(config(root, echoes="echo2")).train
    assert torch.equal(second[4][1], both[4][1][1:])


def test_an_echo_that_no_scan_has_is_named(root):
    with pytest.raises(ValueError, match=r"no scan of .* 'FLAIR'.*echo1"):
        load_splits(config(root, echoes="FLAIR"))


def test_scans_without_the_wanted_contrast_are_left_out(root):
    for seed, (name, split) in enumerate((("e", "train"), ("f", "valid"), ("g", "test")), 4):
        write_scan(root / f"{name}.h5", split=split, echo_names=("FLAIR",), seed=seed)
    splits = load_splits(config(root, echoes="FLAIR"))
    assert splits.train.scan_ids == ["e"]
    with pytest.raises(ValueError, match="echoes=separate"):
        load_splits(config(root))
    assert len(load_splits(config(root, echoes="separate")).train) == 15


def test_targets_can_be_computed_from_the_full_data(root):
    stored, sense, rss = (
        load_splits(config(root, target=kind)).test[1][1] for kind in ("stored", "sense", "rss")
    )
    np.testing.assert_allclose(sense, stored, atol=1e-5)
    with h5py.File(root / "d.h5") as file:
        images = ifft_centred(file["kspace"][1])
    expected = np.sqrt((np.abs(images) ** 2).sum(1))
    np.testing.assert_allclose(rss.real, expected, atol=1e-5)
    assert not rss.imag.any()


@forks
def test_workers_see_the_epoch_and_give_the_same_items(root):
    train = load_splits(config(root, mask_regime="random")).train
    train.set_epoch(5)
    loader = DataLoader(train, batch_size=2, num_workers=2, multiprocessing_context="fork")
    batches = list(loader)
    expected = [train[i] for i in range(len(train))]
    for position, name in enumerate(("kspace", "maps", "mask")):
        loaded = torch.cat([inputs[position] for inputs, _ in batches])
        assert torch.equal(loaded, torch.stack([inputs[position] for inputs, _ in expected])), name


@forks
def test_workers_that_outlive_an_epoch_see_the_next(root):
    train = load_splits(config(root, mask_regime="random")).train
    loader = DataLoader(
        train, num_workers=1, persistent_workers=True, multiprocessing_context="fork"
    )
    first = torch.cat([inputs[2] for inputs, _ in loader])
    train.set_epoch(1)
    second = torch.cat([inputs[2] for inputs, _ in loader])
    assert not torch.equal(first, second)
    assert torch.equal(second, masks_of_an_epoch(train, 1))


def test_a_dataset_holds_no_open_file(root):
    train = load_splits(config(root)).train
    expected = train[2][1]
    assert torch.equal(copy.deepcopy(train)[2][1], expected)  # h5py refuses to copy a handle
    with h5py.File(root / "a.h5", "r+") as file:
        assert file["kspace"].shape[0] == 3


def test_fewer_coils_are_padded_with_coils_that_change_nothing(root):
    write_scan(root / "e.h5", n_coils=1, seed=9)
    splits = load_splits(config(root, acceleration=1.0))
    assert splits.n_coils == 3
    (kspace, maps, mask), target = splits.train[splits.train.slices_of("e")[0]]
    assert kspace.shape == (2, 3, *GRID)
    assert not maps[1:].any()
    assert (mask == 1).all()
    combined = (maps.numpy().conj() * ifft_centred(kspace.numpy())).sum(1)
    np.testing.assert_allclose(combined, target, atol=1e-5)
    inputs, _ = next(iter(DataLoader(splits.train, batch_size=len(splits.train))))
    assert inputs[0].shape == (9, 2, 3, *GRID)


def test_a_slice_without_signal_is_zero_and_finite(root):
    write_scan(root / "e.h5", split="test", empty_slices=[1])
    test = load_splits(config(root)).test
    (kspace, _, _), target = test[test.slices_of("e")[1]]
    assert not kspace.any()
    assert not target.any()


def test_more_acceleration_than_coils_is_warned_about(root):
    with pytest.warns(UserWarning, match=r"acceleration 4 exceeds the 3 coil"):
        load_splits(config(root, acceleration=4.0, center_fraction=0.1))


def test_scans_on_another_grid_are_named_or_left_out(root):
    write_scan(root / "e.h5", grid=(16, 12))
    with pytest.raises(ValueError, match=r"e \(16, 12\).*skip_other_grids=true"):
        load_splits(config(root))
    assert load_splits(config(root, skip_other_grids=True)).train.scan_ids == ["a", "b"]


def test_few_scans_are_nested_and_depend_on_their_seed(root):
    for seed in range(4, 8):
        write_scan(root / f"more{seed}.h5", seed=seed)
    chosen = [
        set(load_splits(config(root, n_train_scans=n, train_scan_seed=3)).train.scan_ids)
        for n in range(1, 7)
    ]
    assert [len(scans) for scans in chosen] == [1, 2, 3, 4, 5, 6]
    assert all(a < b for a, b in itertools.pairwise(chosen))
    others = {
        load_splits(config(root, n_train_scans=1, train_scan_seed=seed)).train.scan_ids[0]
        for seed in range(8)
    }
    assert len(others) > 1
    with pytest.raises(ValueError, match="n_train_scans is 7, but there are 6"):
        load_splits(config(root, n_train_scans=7))


def test_a_missing_split_is_named(root):
    (root / "c.h5").unlink()
    with pytest.raises(ValueError, match="no scan of the split 'valid'"):
        load_splits(config(root))


def test_a_truncated_file_is_named(root):
    path = root / "b.h5"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"b\.h5 is truncated"):
        load_splits(config(root))


def test_a_damaged_chunk_is_named_when_it_is_read(root):
    path = root / "d.h5"
    with h5py.File(path) as file:
        offset = file["kspace"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 4
    path.write_bytes(content)
    test = load_splits(config(root)).test
    with pytest.raises(ValueError, match=r"d\.h5: kspace.* is truncated or damaged"):
        test[0]
    assert torch.isfinite(test[1][1].abs()).all()


def test_missing_data_without_a_recipe_are_named(tmp_path):
    with pytest.raises(ValueError, match="no prepared scans"):
        load_splits(config(tmp_path))


FFT = TransformConfig(name="fft", kind="fourier")
SMALL = {
    "n_train": 1,
    "n_valid": 1,
    "n_test": 1,
    "n_slices": 1,
    "height": 20,
    "width": 14,
    "n_coils": 3,
    "echo_times_ms": [12.0],
    "n_workers": 1,
}


def test_missing_data_are_made_by_the_recipe_once(tmp_path):
    options = config(tmp_path / "made", recipe=PhantomRecipe(**SMALL))
    splits = load_splits(options)
    assert splits.grid == (20, 14)
    assert splits.identity == options.recipe.identity()
    stamp = (tmp_path / "made" / "train_000.h5").stat().st_mtime_ns
    load_splits(options)
    assert (tmp_path / "made" / "train_000.h5").stat().st_mtime_ns == stamp


def test_scans_that_were_made_otherwise_are_refused(tmp_path):
    root = tmp_path / "made"
    produce(PhantomRecipe(out=str(root), **SMALL))
    other = {**SMALL, "n_coils": 4}
    with pytest.raises(ValueError, match=r"n_coils=3, but dataset.recipe.n_coils is 4; delete"):
        load_splits(config(root, recipe=PhantomRecipe(**other)))
    with pytest.raises(ValueError, match=r"by the recipe 'phantom', not by 'simulate'"):
        load_splits(config(root, recipe=SimulateRecipe()))
    metadata = yaml.safe_load((root / "metadata.yaml").read_text())
    del metadata["config"]["noise"], metadata["config"]["name"]  # as a version without them
    (root / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    load_splits(config(root, recipe=PhantomRecipe(**SMALL)))
    with pytest.raises(ValueError, match=r"was prepared without an option 'noise'"):
        load_splits(config(root, recipe=PhantomRecipe(**SMALL, noise=0.1)))


def test_options_left_at_their_defaults_take_the_scans_that_are_there(tmp_path):
    root = tmp_path / "made"
    produce(PhantomRecipe(out=str(root), **SMALL, seed=3))
    splits = load_splits(config(root, recipe=PhantomRecipe()))
    assert splits.sizes == {"train": 1, "valid": 1, "test": 1}
    assert splits.identity["seed"] == 3
    assert splits.identity["n_slices"] == 1
    assert "out" not in splits.identity


def test_the_place_of_the_scans_is_said_once(tmp_path):
    dataset = DatasetConfig(root="here", recipe=PhantomRecipe())
    run = MriConfig(dataset, transform=TransformConfig("fft", "fourier"))
    assert run.dataset.recipe.out == "here"
    save_config(tmp_path, run)
    moved = load_config(tmp_path, MriConfig, {"dataset": {"root": "there"}})
    assert moved.dataset.recipe.out == "there"
    with pytest.raises(ValueError, match=r"name must be phantom .* by dataset=NAME"):
        PhantomRecipe("simulate")
    with pytest.raises(ValueError, match=r"recipe.out=there .* dataset.root=here; give it as"):
        DatasetConfig(root="here", recipe=PhantomRecipe(out="there"))


def test_making_data_leaves_the_random_numbers_of_the_training_alone(tmp_path, monkeypatch):
    make_scan = PhantomRecipe.make_scan

    def greedy(recipe, job, details):
        random.random(), np.random.random(), torch.rand(1)
        make_scan(recipe, job, details)

    monkeypatch.setattr(PhantomRecipe, "make_scan", greedy)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    ensure(PhantomRecipe(out=str(tmp_path / "made"), **SMALL))
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "spiral"}, "mask must be one of"),
        ({"mask_regime": "sometimes"}, "mask_regime must be one of"),
        ({"target": "gt"}, "target must be one of"),
        ({"acceleration": 0.5}, "at least 1, got 0.5"),
        ({"center_fraction": 1.0}, "center_fraction"),
        ({"n_train_scans": 0}, "n_train_scans must be at least 1"),
        ({"mask_seed": -1}, "must not be negative"),
        ({"mask": "stored", "mask_regime": "random"}, "cannot be used"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DatasetConfig(**options)


def test_the_config_is_a_schema_for_omegaconf():
    schema = OmegaConf.structured(DatasetConfig)
    merged = OmegaConf.merge(schema, {"n_train_scans": 3})
    assert OmegaConf.to_object(merged) == DatasetConfig(n_train_scans=3)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_remembers_the_recipe_of_its_data(tmp_path, name):
    recipe = RECIPES[name]()
    stored = MriConfig(DatasetConfig(root="here", recipe=recipe), transform=FFT)
    save_config(tmp_path, stored)
    assert load_config(tmp_path, MriConfig) == stored


def test_a_run_of_own_scans_remembers_that_nothing_makes_them(tmp_path):
    stored = MriConfig(DatasetConfig(root="here", recipe=None), transform=FFT)
    save_config(tmp_path, stored)
    assert load_config(tmp_path, MriConfig) == stored


@pytest.mark.parametrize(
    ("former", "recipe"),
    [
        ({"script": "mri_phantom", "prepare": {}}, PhantomRecipe()),
        (
            {"script": "mri_simulate", "prepare": {"trajectory": 0.5}},
            SimulateRecipe(trajectory=0.5),
        ),
        ({"script": "", "prepare": {}}, None),
    ],
)
def test_runs_from_before_data_sets_had_recipes_are_read(tmp_path, former, recipe):
    dataset = {"name": "mine", "root": "here", "acceleration": 3.0, **former}
    stored = {"dataset": dataset, "transform": {"name": "fft", "kind": "fourier"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(stored))
    config = load_config(tmp_path, MriConfig)
    assert config.dataset == DatasetConfig("mine", "here", recipe, acceleration=3.0)


MEMORY_TEST = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from mri.dataset.splits import load_splits
    from mri.config.dataset import DatasetConfig
    from data_scripts.mri.schema import open_scan

    config = DatasetConfig(root=sys.argv[1], recipe=None, mask="random", mask_regime="random")
    splits = load_splits(config)
    splits.train[0]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + 12 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    total = 0
    for i in range(len(splits.train)):
        (kspace, maps, mask), target = splits.train[i]
        total += kspace.nbytes + maps.nbytes + target.nbytes
    print(total)
    try:
        with open_scan(Path(sys.argv[1]) / "a.h5") as file:
            file["kspace"][()]
    except MemoryError:
        print("too large to be read at once")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_a_set_larger_than_memory_is_streamed(tmp_path):
    for seed, (name, split) in enumerate((("a", "train"), ("b", "valid"), ("c", "test"))):
        write_scan(
            tmp_path / f"{name}.h5",
            split=split,
            seed=seed,
            n_slices=24 if split == "train" else 1,
            n_coils=8,
            grid=(96, 80),
        )
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY_TEST), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    total, verdict = run.stdout.strip().split("\n")
    assert int(total) > 35e6
    assert verdict == "too large to be read at once"

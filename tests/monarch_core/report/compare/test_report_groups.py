"""Runs are grouped by everything but the seed, and no two groups look alike."""

import itertools

import numpy as np
import pytest

from monarch_core.report.compare.groups import blocks_of, control_name
from monarch_core.report.compare.settings import words


def test_seeds_are_merged_and_nothing_else(make_run, groups):
    for seed in (2, 0, 1):
        make_run("fft", seed=seed)
    make_run("fft", config={"fit.learning_rate": 2e-3})
    make_run("fft", split_sizes={"train": 80, "valid": 20, "test": 20})
    make_run("fft", config={"model.name": "uno"})
    make_run("monarch", config={"transform.axis.heads": 4})
    make_run("monarch")
    assert sorted(len(group.runs) for group in groups()) == [1, 1, 1, 1, 1, 3]
    assert max(groups(), key=lambda group: len(group.runs)).seeds == [0, 1, 2]


def test_group_statistics_are_the_closed_forms(make_run, groups):
    errors = np.array([0.031, 0.0325, 0.0302, 0.033])
    for seed, error in enumerate(errors):
        make_run(seed=seed, error=error)
    over = groups()[0].metric("relative_l2")
    assert over.mean == pytest.approx(errors.mean())
    assert over.standard_error == pytest.approx(errors.std(ddof=1) / 2)


def test_a_group_of_one_has_no_spread(make_run, groups):
    make_run(error=0.5)
    over = groups()[0].metric("relative_l2")
    assert (over.mean, over.standard_error, over.n) == (0.5, None, 1)


def test_runs_without_results_are_in_no_group(make_run, make_failed, groups):
    make_run()
    make_failed()
    assert len(groups()) == 1


def test_transforms_come_in_their_order(make_run, groups):
    for name in ("wavelet", "dense", "monarch", "fft", "cosine", "monarch_frozen"):
        make_run(name)
    order = ["fft", "monarch_frozen", "monarch", "dense", "cosine", "wavelet"]
    assert [group.transform for group in groups()] == order


def test_numbers_sort_as_numbers(make_run, groups):
    for heads in (10, 2, 1):
        make_run(config={"transform.axis.heads": heads})
    assert [group.details for group in groups()] == ["heads 1", "heads 2", "heads 10"]


def test_no_two_groups_look_alike(make_run, groups):
    """Every combination of settings gives a group of its own, with words of its own."""
    grid = itertools.product(
        ("fft", "monarch"), (1e-3, 1e-4), (1e-3, 2e-3), (16, 20), (None, "unrolled")
    )
    for transform, viscosity, rate, width, loss in grid:
        config = {"dataset.viscosity": viscosity, "fit.learning_rate": rate, "model.width": width}
        make_run(transform, config=config | ({"fit.loss": loss} if loss else {}))
    found = groups()
    assert len(found) == 32
    assert len({(g.data_details, g.transform, g.details) for g in found}) == 32
    assert len({(g.data_details, g.name) for g in found}) == 32
    assert "loss unset" in {g.details.split(", ")[-1] for g in found}
    assert {g.data_details for g in found} == {"viscosity 0.001", "viscosity 0.0001"}


def test_a_choice_that_stands_twice_in_the_config_is_told_once(make_run, groups):
    for heads in (1, 4):
        twice = {"transform.axis.heads": heads, "transform.conv.transform.heads": heads}
        make_run(config=twice)
    assert [group.details for group in groups()] == ["heads 1", "heads 4"]
    make_run(config={"transform.axis.heads": 4, "transform.conv.transform.heads": 1})
    assert "axis heads 4, transform heads 1" in [group.details for group in groups()]


def test_names_say_only_what_the_transform_does_not(make_run, groups):
    """A name is short where the transform tells two groups apart, the table has the rest."""
    make_run("fft", config={"fit.learning_rate": 1e-3})
    make_run("monarch", config={"fit.learning_rate": 2e-3, "transform.axis.heads": 1})
    make_run("monarch", config={"fit.learning_rate": 2e-3, "transform.axis.heads": 4})
    assert [group.name for group in groups()] == ["fft", "monarch (heads 1)", "monarch (heads 4)"]
    assert groups()[2].details == "learning rate 0.002, heads 4"


def test_words_are_as_short_as_they_may_be():
    assert words("fit.learning_rate", ["fit.learning_rate", "fit.epochs"]) == "learning rate"
    keys = ["fit.learning_rate", "tuner.learning_rate"]
    assert [words(key, keys) for key in keys] == ["fit learning rate", "tuner learning rate"]


def test_split_sizes_are_named_only_when_the_dataset_does_not_tell(make_run, groups):
    sizes = {"train": 80, "valid": 20, "test": 20}
    make_run()
    make_run(split_sizes=sizes)
    assert {group.data_details for group in groups()} == {"train 160", "train 80"}
    make_run(config={"dataset.n_train": 80, "dataset.name": "burgers"}, split_sizes=sizes)
    make_run(config={"dataset.n_train": 160, "dataset.name": "burgers"})
    burgers = {g.data_details for g in groups() if g.dataset == "burgers"}
    assert burgers == {"n train 80", "n train 160"}


def test_a_seed_counts_once(make_run, groups):
    make_run(seed=0, error=0.1, name="2024-01-01")
    make_run(seed=0, error=0.2, name="2024-01-02")
    make_run(seed=1, error=0.4, name="2024-01-03")
    group = groups()[0]
    assert group.values("relative_l2") == [0.2, 0.4]
    assert "seed 0 occurs twice" in group.notes[0]


def test_different_commits_are_told(make_run, groups):
    make_run(seed=0)
    make_run(seed=1, git_commit="fedcba")
    assert groups()[0].notes == ("the seeds ran at 2 different commits: 0123abc; fedcba",)


def test_blocks_hold_what_was_tested_on_the_same_data(make_run, groups):
    for viscosity in (1e-4, 1e-3):
        for transform in ("monarch", "fft"):
            make_run(transform, config={"dataset.viscosity": viscosity})
    blocks = blocks_of(groups())
    assert [block.name for block in blocks] == [
        "navier_stokes (viscosity 0.0001)",
        "navier_stokes (viscosity 0.001)",
    ]
    assert [[g.transform for g in block.groups] for block in blocks] == [["fft", "monarch"]] * 2


def declares(basis="fourier", learns="both", control=False):
    return {"basis": basis, "learns": learns, "control": control}


def test_what_transforms_declare_decides_their_order_and_their_names_do_not(make_run, groups):
    """The control, what does not learn, what learns from few parameters to many, the unknown."""
    make_run("a", n_parameters=9, transform_declares=declares())
    make_run("b", n_parameters=3, transform_declares=declares("sine", "inverse"))
    make_run("c", transform_declares=declares(learns="none"))
    make_run("d", transform_declares=declares(learns="none", control=True))
    make_run("0")
    assert [group.transform for group in groups()] == ["d", "c", "b", "a", "0"]
    assert [group.declared.control for group in groups()] == [True, False, False, False, False]
    assert control_name(groups()) == "d"


def test_without_a_control_there_is_a_word_for_it(make_run, groups):
    make_run("monarch")
    assert control_name(groups()) == "control"


def test_runs_that_contradict_each_other_on_the_control_are_not_averaged(make_run, groups):
    make_run("fft", seed=0)
    make_run("fft", seed=1, transform_declares=declares())
    assert [group.seeds for group in groups()] == [[0], [1]]


def test_own_data_are_called_after_their_file(make_run, groups):
    """Two files are told apart by name, copies of one are compared under all of theirs."""

    def own(transform, path, content):
        prints = {split: f"{content}-{split}" for split in ("train", "valid", "test")}
        config = {"dataset": {"name": "own", "path": path}}
        make_run(transform, config=config, data_fingerprints=prints)

    own("fft", "data/flow.npy", "a")
    own("monarch", "/elsewhere/flow.npy", "a")
    own("fft", "heat.h5", "b")
    own("monarch", "copy of heat.h5", "b")
    blocks = {block.name: block for block in blocks_of(groups())}
    assert {*blocks} == {"own: flow", "own: copy of heat or heat"}
    for block in blocks.values():
        assert [group.transform for group in block.groups] == ["fft", "monarch"]


def test_files_of_one_name_stay_apart(make_run, groups):
    for folder in ("a", "b"):
        prints = {split: f"{folder}-{split}" for split in ("train", "valid", "test")}
        config = {"dataset": {"name": "own", "path": f"{folder}/flow.npy"}}
        make_run("fft", config=config, data_fingerprints=prints)
    names = [block.name for block in blocks_of(groups())]
    assert len({*names}) == 2
    assert all(name.startswith("own: flow (") for name in names)

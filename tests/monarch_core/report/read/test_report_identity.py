"""Equal content is equal data, equal settings are equal runs, and everything else is told apart."""

import json

import pytest

from monarch_core.report.compare.control import control_of
from monarch_core.report.compare.findings import findings
from monarch_core.report.compare.groups import blocks_of
from monarch_core.report.read.collect import read_run


def content(test, train="aa"):
    return {"train": train, "valid": "bb", "test": test}


def changed(folder, **values):
    """Change values at the top of results.json; None removes them."""
    results = json.loads((folder / "results.json").read_text()) | values
    kept = {key: value for key, value in results.items() if value is not None}
    (folder / "results.json").write_text(json.dumps(kept))


def test_another_root_is_other_data_as_long_as_nobody_looked_into_it(make_run, groups):
    for root, error in (("data/brain", 0.04), ("data/knee", 0.02)):
        make_run("fft", error=error, config={"dataset.root": root})
    make_run("monarch", error=0.03, config={"dataset.root": "data/knee"})
    assert [block.details for block in blocks_of(groups())] == ["root data/brain", "root data/knee"]
    assert [len(group.runs) for group in groups()] == [1, 1, 1]
    monarch = groups()[-1]
    assert control_of(monarch, groups()).group.metric("relative_l2").mean == 0.02


def test_the_same_folder_written_in_two_ways_is_one(make_run, groups):
    for seed, root in enumerate(("data/brain", "./data//brain/")):
        make_run("fft", seed=seed, config={"dataset.root": root})
    assert [group.seeds for group in groups()] == [[0, 1]]


def test_equal_content_is_equal_data_wherever_it_lies(make_run, groups):
    for seed, root in enumerate(("data/brain", "/scratch/copy")):
        prints = content("cc")
        make_run("fft", seed=seed, config={"dataset.root": root}, data_fingerprints=prints)
    make_run("monarch", config={"dataset.path": "x.npy"}, data_fingerprints=content("cc"))
    assert [group.seeds for group in groups()] == [[0, 1], [0]]
    assert control_of(groups()[1], groups()).words == ""


@pytest.mark.parametrize("prints", [content("dd"), content("cc", train="dd")])
def test_other_content_at_the_same_path_is_other_data(make_run, groups, prints):
    config = {"dataset.root": "data/brain"}
    make_run("fft", config=config, data_fingerprints=content("cc"))
    make_run("monarch", config=config, data_fingerprints=prints)
    assert control_of(groups()[1], groups()) is None
    assert len({block.details for block in blocks_of(groups())}) == 2
    said = "; ".join(item.sentence for item in findings(groups(), {"pde": "relative_l2"}))
    assert "no fft run to compare with: the nearest has other data (" in said
    assert "data " in said.rpartition("other data (")[2]


def test_other_content_is_named_by_its_path_where_that_tells(make_run, groups):
    for root, test in (("data/brain", "cc"), ("data/knee", "dd")):
        config = {"dataset.root": root}
        make_run("fft", config=config, data_fingerprints=content(test))
    assert [group.data_details for group in groups()] == ["root data/brain", "root data/knee"]
    make_run("fft", config={"dataset.root": "else"}, seed=1, data_fingerprints=content("dd"))
    assert {group.data_details for group in groups()} == {"test data cc", "test data dd"}


def test_content_of_which_a_part_is_unknown_does_not_count(make_run, groups):
    for root in ("data/brain", "data/knee"):
        make_run(
            "fft",
            config={"dataset.root": root},
            data_fingerprints={"train": "aa", "valid": None, "test": "cc"},
        )
    assert len(groups()) == 2
    assert "data_fingerprints are not those of train, valid, test" in groups()[0].notes[0]


def test_metrics_of_two_definitions_are_not_compared(make_run, groups):
    for transform, preset in (("fft", "meddlr"), ("monarch", "fastmri")):
        make_run(transform, config={"evaluation.preset": preset})
    monarch = next(group for group in groups() if group.transform == "monarch")
    assert control_of(monarch, groups()) is None
    assert [block.details for block in blocks_of(groups())] == ["preset fastmri", "preset meddlr"]


def test_metrics_asked_for_in_addition_keep_the_others_comparable(make_run, groups):
    make_run("fft", config={"evaluation.grids": []})
    make_run("monarch", config={"evaluation.grids": [64]}, metrics={"relative_l2/64": 0.1})
    assert control_of(groups()[1], groups()).words == "grids [] / [64]"


def test_a_run_that_was_not_trained_to_its_end_is_no_seed_of_one_that_was(make_run, groups):
    make_run(seed=0, n_epochs=0)
    changed(make_run(seed=1, n_epochs=0), n_epochs=3)
    changed(make_run(seed=2, n_epochs=0), n_epochs=30)
    assert [(g.seeds, g.details) for g in groups()] == [
        ([1], "epochs done 3"),
        ([0, 2], "epochs done unset"),
    ]


def test_what_learns_nothing_needs_no_epoch(make_run, groups):
    for seed, n_epochs in enumerate((0, 30)):
        changed(make_run("fft", seed=seed), n_epochs=n_epochs, n_parameters=0)
    assert [group.seeds for group in groups()] == [[0, 1]]


def test_a_run_without_a_config_is_compared_with_nothing(make_run, groups):
    for transform in ("fft", "fft", "monarch"):
        changed(make_run(transform), config=None)
    assert [len(group.runs) for group in groups()] == [1, 1, 1]
    assert len(blocks_of(groups())) == 3
    assert "results.json has no config" in groups()[0].notes[0]


@pytest.mark.parametrize(
    ("key", "value"), [("transform", "fft"), ("model", "uno"), ("dataset", "darcy"), ("seed", 7)]
)
def test_a_label_that_its_config_contradicts_is_not_believed(make_run, key, value):
    folder = make_run("monarch")
    changed(folder, **{key: value})
    run = read_run(folder)
    assert run.status == "unreadable"
    assert f"{key} is {str(value)!r} at its top and " in run.reason
    assert "evaluate the run again" in run.reason


def test_two_runs_of_one_seed_are_told_with_what_sets_them_apart(make_run, groups):
    make_run("fft", error=0.04, name="a", device="A100")
    make_run("fft", error=0.04, name="b", device="A100")
    (group,) = groups()
    assert group.notes[0].endswith("; their numbers are the same")
    make_run("fft", error=0.05, name="c", device="H100", git_commit="f00")
    note = groups()[0].notes[1]
    assert "c is used" in note
    assert "b is not; they differ in commit, device, relative_l2 0.05000 / 0.04000" in note


def test_what_the_seeds_of_a_group_do_not_share_is_told(make_run, groups):
    make_run("fft", seed=0)
    make_run("fft", seed=1, device="H100", git_commit="f00-dirty", n_parameters=3)
    make_run(
        "fft",
        seed=2,
        versions={"torch": "2.11.0"},
        metrics={"psnr": 30.0},
        train_seconds=None,
        error=float("inf"),
    )
    notes = "\n".join(groups()[0].notes)
    assert "the seeds ran at 2 different commits: 0123abc; f00-dirty" in notes
    assert "the seeds ran on 2 different devices: H100; cpu, 2 threads" in notes
    assert "the seeds ran with 2 different sets of versions: python 3.11.9, torch 2.13.0" in notes
    assert "code with changes that its commit does not hold: " in notes
    assert "the seeds have different numbers of parameters" in notes
    assert "train_seconds is known of 2 of 3 seeds: the mean is theirs" in notes
    assert "psnr was not measured in " in notes
    assert "relative_l2 is not finite in " in notes
    assert "h1_error is not finite in " in notes


def test_seeds_that_share_everything_need_no_word(make_run, groups):
    for seed in (0, 1, 2):
        make_run("fft", seed=seed)
    assert groups()[0].notes == ()


def test_data_without_fingerprints_are_known_by_their_recipe_wherever_they_lie(make_run, groups):
    for seed, root in enumerate(("data/brain", "/scratch/copy")):
        recipe = {"script": "phantom", "options": {"noise": 0.1}}
        make_run("fft", seed=seed, config={"dataset.root": root}, data_identity=recipe)
    assert [group.seeds for group in groups()] == [[0, 1]]
    other = {"script": "phantom", "options": {"noise": 0.2}}
    make_run("monarch", config={"dataset.root": "data/brain"}, data_identity=other)
    assert control_of(groups()[-1], groups()) is None
    assert [block.details for block in blocks_of(groups())] == ["noise 0.1", "noise 0.2"]


def test_content_decides_before_the_recipe_which_is_told_where_all_have_one(make_run, groups):
    """A run from before recipes were recorded is compared with one from after, by content."""
    make_run("fft", data_fingerprints=content("cc"))
    make_run("monarch", data_fingerprints=content("cc"), data_identity={"noise": 0.1})
    assert control_of(groups()[1], groups()).words == ""
    make_run("monarch", data_fingerprints=content("dd"), data_identity={"noise": 0.2})
    assert {block.details for block in blocks_of(groups())} == {"test data cc", "test data dd"}


def test_a_recipe_that_is_none_is_noted_and_does_not_count(make_run, groups):
    make_run("fft", data_identity=["noise"])
    assert (
        groups()[0].notes[0].endswith("data_identity is no record of a recipe and does not count")
    )


@pytest.mark.parametrize(
    "making",
    [
        {"dataset.recipe": {"name": "phantom", "seed": 0}},
        {"dataset.script": "mri_phantom", "dataset.prepare": {"seed": 0}},
        {"dataset.recipe": None, "dataset.root": "elsewhere"},
    ],
)
def test_equal_content_is_equal_data_however_it_was_made(make_run, groups, making):
    make_run("fft", seed=0, data_fingerprints=content("cc"))
    make_run("fft", seed=1, config=making, data_fingerprints=content("cc"))
    assert [group.seeds for group in groups()] == [[0, 1]]


@pytest.mark.parametrize(
    ("task", "option", "former"), [("pde", "gate_channels", 18), ("mri", "candidates", [0.01])]
)
def test_options_that_only_former_runs_held_count_by_their_value(
    make_run, groups, task, option, former
):
    make_run("fft", seed=0, task=task, config={f"model.{option}": former})
    make_run("fft", seed=1, task=task)
    make_run("fft", seed=2, task=task, config={f"model.{option}": 3})
    assert sorted(group.seeds for group in groups()) == [[0, 1], [2]]


def test_a_run_from_the_weights_of_another_is_no_seed_of_one_that_began_anew(make_run, groups):
    for seed in (0, 1):
        make_run("monarch", seed=seed, config={"weights": f"runs/source_{seed}"})
    make_run("monarch", seed=2)
    assert sorted(group.seeds for group in groups()) == [[0, 1], [2]]


NEW = {"dataset": {"mask_name": None, "root": "data"}, "fit": {"restarts": []}, "weights": None}
KNOWN = {"dataset.mask_name": None, "fit.restarts": [], "weights": None}


def test_an_option_that_an_older_run_did_not_know_has_its_default(make_run, groups):
    make_run("fft", seed=0, error=0.04)
    changed(make_run("fft", seed=1, error=0.02, config=KNOWN), defaults=NEW)
    changed(make_run("monarch", seed=1, error=0.01, config=KNOWN), defaults=NEW)
    assert [group.seeds for group in groups()] == [[0, 1], [1]]
    assert control_of(groups()[1], groups()).group.metric("relative_l2").mean == 0.03
    assert len(blocks_of(groups())) == 1


def test_what_two_versions_have_different_defaults_for_is_not_completed(make_run, groups):
    make_run("fft", seed=0)
    changed(make_run("fft", seed=1, config=KNOWN), defaults=NEW)
    changed(make_run("fft", seed=2, config=KNOWN), defaults={**NEW, "fit": {"restarts": [3]}})
    assert sorted(group.seeds for group in groups()) == [[0], [1, 2]]


@pytest.mark.parametrize("key", ["dataset.mask_name", "fit.restarts"])
def test_an_option_off_its_default_is_another_run(make_run, groups, key):
    make_run("fft", seed=0)
    changed(make_run("fft", seed=1, config={**KNOWN, key: "other"}), defaults=NEW)
    assert [group.seeds for group in groups()] == [[0], [1]]


def test_options_of_other_data_are_none_of_a_run(make_run, groups):
    make_run("fft", seed=0, config={"dataset.name": "other"})
    changed(make_run("fft", seed=1, config=KNOWN), defaults=NEW)
    settings = {group.dataset: group.settings for group in groups()}
    assert "dataset.mask_name" not in settings["other"]
    assert settings["other"]["fit.restarts"] == "[]"


@pytest.mark.parametrize("defaults", [3, [], {"x": {str(i): 0 for i in range(3000)}}])
def test_defaults_of_a_stranger_do_no_harm(make_run, groups, defaults):
    changed(make_run("fft"), defaults=defaults)
    assert len(groups()) == 1

"""Every group is compared with the right control, and what is found is said whatever it is."""

import pytest

from monarch_core.report.compare.control import compare, control_of, strongest_control_of
from monarch_core.report.compare.findings import findings, headline


def only(groups, transform):
    (found,) = (group for group in groups if group.transform == transform)
    return found


def test_a_change_is_relative_to_the_fft_group_with_the_same_config(make_run, groups):
    errors = {(1e-3, "fno"): 0.04, (1e-4, "fno"): 0.1, (1e-3, "uno"): 0.5, (1e-4, "uno"): 0.9}
    for (viscosity, model), error in errors.items():
        config = {"dataset.viscosity": viscosity, "model.name": model}
        make_run("fft", error=error, config=config)
        make_run("monarch", error=0.02, config=config)
    for group in groups():
        control = control_of(group, groups())
        if group.transform == "fft":
            assert control is None
        else:
            change = compare(group, control.group, "relative_l2")
            viscosity = float(group.settings["dataset.viscosity"])
            assert change.value == pytest.approx(0.02 / errors[viscosity, group.model] - 1)


def test_the_most_alike_control_is_taken_and_its_differences_are_told(make_run, groups):
    make_run("fft", error=0.05, config={"fit.learning_rate": 1e-3})
    make_run("fft", error=0.03, config={"fit.learning_rate": 2e-3, "fit.epochs": 60})
    make_run("monarch", error=0.02, config={"fit.learning_rate": 2e-3})
    monarch = only(groups(), "monarch")
    control = control_of(monarch, groups())
    assert control.group.settings["fit.learning_rate"] in ("0.001", "0.002")
    assert len(control.differs) == 1
    make_run("fft", error=0.04, config={"fit.learning_rate": 2e-3})
    control = control_of(monarch, groups())
    assert (control.differs, control.words) == ((), "")
    assert control.group.metric("relative_l2").mean == 0.04


def test_differences_are_in_words_with_both_values(make_run, groups):
    make_run("fft", config={"fit.learning_rate": 1e-3})
    make_run("monarch", config={"fit.learning_rate": 2e-3, "fit.clip": 1})
    control = control_of(only(groups(), "monarch"), groups())
    assert control.words == "learning rate 0.001 / 0.002, clip unset / 1"


def test_of_equally_alike_controls_the_one_with_the_best_validation_error_is_taken(
    make_run, groups
):
    for rate, error in ((1e-3, 0.05), (2e-3, 0.03), (4e-3, 0.04)):
        make_run("fft", error=error, config={"fit.learning_rate": rate}, n_epochs=2)
    make_run("monarch", config={"fit.learning_rate": 8e-3})
    control = control_of(only(groups(), "monarch"), groups())
    assert control.words == "learning rate 0.002 / 0.008"


def test_the_strongest_control_is_chosen_on_validation_not_on_test(make_run, groups):
    make_run("fft", error=0.05, config={"fit.learning_rate": 1e-3}, n_epochs=2)
    better = make_run("fft", error=0.01, config={"fit.learning_rate": 2e-3}, n_epochs=2)
    (better / "log.jsonl").write_text('{"epoch": 1, "valid_error": 9.0}\n')
    make_run("monarch", config={"fit.learning_rate": 2e-3})
    strongest = strongest_control_of(only(groups(), "monarch"), groups())
    assert strongest.group.settings["fit.learning_rate"] == "0.001"


@pytest.mark.parametrize(
    "config", [{"dataset.viscosity": 1e-5}, {"dataset.name": "burgers"}, {"model.name": "uno"}]
)
def test_other_data_or_another_model_is_no_control(make_run, groups, config):
    make_run("fft", config=config)
    make_run("monarch")
    assert control_of(only(groups(), "monarch"), groups()) is None


def sentences(groups):
    return [item.sentence for item in findings(groups, {"pde": "relative_l2"})]


def test_the_finding_says_it_all(make_run, groups):
    for seed, (fft, monarch) in enumerate([(0.040, 0.030), (0.042, 0.032), (0.038, 0.031)]):
        make_run("fft", seed=seed, error=fft)
        make_run("monarch", seed=seed, error=monarch)
    assert sentences(groups()) == [
        "navier_stokes, fno, monarch: 0.0310 ± 0.0006 against fft 0.0400 ± 0.0012 in relative l2 "
        "(mean ± standard error over 3 seeds): relative l2 22 % lower than with fft (95 % interval "
        "14 to 31 % lower, 3 seeds: more than the seeds explain); "
        "2.1x the time per epoch, 1.0x the parameters"
    ]


def test_a_loss_is_printed_like_any_other(make_run, groups):
    make_run("fft", error=0.03)
    make_run("monarch", error=0.04)
    assert sentences(groups())[0].startswith(
        "navier_stokes, fno, monarch: 0.0400 against fft 0.0300 in relative l2 "
        "(one seed: no spread): relative l2 33 % higher than with fft (one seed: cannot tell "
    )


def test_no_difference_is_no_victory(make_run, groups):
    for seed, (fft, monarch) in enumerate([(0.040, 0.036), (0.042, 0.043), (0.038, 0.037)]):
        make_run("fft", seed=seed, error=fft)
        make_run("monarch", seed=seed, error=monarch)
    (finding,) = findings(groups(), {"pde": "relative_l2"})
    assert finding.claim.label == "no difference"
    assert finding.claim.reason.endswith(" higher, 3 seeds: zero lies in it")


def test_equal_is_equal(make_run, groups):
    make_run("fft")
    make_run("monarch_frozen")
    assert ": relative l2 equal to that with fft (1 seed);" in sentences(groups())[0]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_a_change_that_is_written_as_zero_is_no_victory(make_run, groups, seeds):
    for seed in seeds:
        make_run("fft", seed=seed, error=0.03)
        make_run("monarch", seed=seed, error=0.03 - 1e-6 - 1e-8 * seed)
    (finding,) = findings(groups(), {"pde": "relative_l2"})
    assert finding.claim.text == "relative l2 as with fft in the digits shown"
    assert finding.claim.label == "no difference"


def test_a_better_tuned_control_is_not_passed_over(make_run, groups):
    make_run("fft", error=0.040, config={"fit.learning_rate": 1e-3}, n_epochs=3)
    make_run("fft", error=0.025, config={"fit.learning_rate": 2e-3}, n_epochs=3)
    make_run("monarch", error=0.030, config={"fit.learning_rate": 1e-3}, n_epochs=3)
    assert sentences(groups())[0].endswith(
        "; against the fft with the lowest validation error, fft (learning rate 0.002) 0.0250: "
        "relative l2 20 % higher than with fft (learning rate 0.002) "
        "(one seed: cannot tell whether this is chance)"
    )


def test_other_devices_and_other_settings_are_told(make_run, groups):
    make_run("fft", device="A100")
    make_run("monarch", config={"fit.epochs": 60})
    sentence = sentences(groups())[0]
    assert "; on different devices: cpu, 2 threads against A100" in sentence
    assert "; not the transform alone: epochs 30 / 60; " in sentence


def test_without_a_control_it_says_so(make_run, groups):
    make_run("monarch")
    assert sentences(groups()) == [
        "navier_stokes, fno, monarch: 0.0300 in relative l2 (one seed: no spread); "
        "no control run to compare with"
    ]


def test_a_lone_fft_speaks_for_itself(make_run, groups):
    make_run("fft", error=float("nan"))
    assert sentences(groups()) == [
        "navier_stokes, fno, fft: not finite in relative l2 (one seed: no spread)"
    ]


def test_an_arbitrary_choice_among_controls_is_said(make_run, groups):
    for rate in (1e-3, 2e-3):
        make_run("fft", config={"fit.learning_rate": rate})
    make_run("monarch", config={"fit.learning_rate": 4e-3})
    said = sentences(groups())[0]
    assert "; against the first by name of 2 fft groups that are as alike" in said


def test_validation_errors_of_two_losses_are_not_ranked(make_run, groups):
    make_run("fft", error=0.05, config={"loss": "l1", "fit.epochs": 30}, n_epochs=2)
    make_run("fft", error=0.01, config={"loss": "l2", "fit.epochs": 30}, n_epochs=2)
    make_run("fft", error=0.03, config={"loss": "l1", "fit.epochs": 60}, n_epochs=2)
    make_run("monarch", config={"loss": "l1", "fit.epochs": 30}, n_epochs=2)
    strongest = strongest_control_of(only(groups(), "monarch"), groups())
    assert strongest.group.metric("relative_l2").mean == 0.03
    assert "against the fft of loss l1 with the lowest validation error" in sentences(groups())[0]


def test_other_code_is_told(make_run, groups):
    make_run("fft", git_commit="0123abc")
    make_run("monarch", git_commit="fedcba-dirty")
    assert "; at other commits: fedcba-dirty against 0123abc" in sentences(groups())[0]


def test_a_seed_that_diverged_is_not_left_out_of_a_comparison(make_run, groups):
    for seed, error in enumerate((0.01, float("nan"), 0.01)):
        make_run("fft", seed=seed, error=0.02)
        make_run("monarch", seed=seed, error=error)
    assert sentences(groups())[0].startswith(
        "navier_stokes, fno, monarch: not finite in 1 of 3 seeds against fft 0.0200 ± 0 in "
        "relative l2 (mean ± standard error over 3 seeds): relative l2: no change to give "
    )


def test_data_with_an_fft_alone_are_not_passed_over(make_run, groups):
    make_run("fft", error=0.5, config={"dataset.viscosity": 1e-4})
    make_run("fft")
    make_run("monarch")
    assert [said.partition(":")[0] for said in sentences(groups())] == [
        "navier_stokes (viscosity 0.0001), fno, fft",
        "navier_stokes (viscosity 0.001), fno, monarch",
    ]


def test_a_control_is_what_declares_it_and_is_called_by_its_name(make_run, groups):
    control = {"basis": "cosine", "control": True, "learns": "none"}
    make_run("dct", error=0.04, transform_declares=control)
    make_run("fft", error=0.02, transform_declares={**control, "control": False})
    assert control_of(only(groups(), "dct"), groups()) is None
    assert control_of(only(groups(), "fft"), groups()).group.transform == "dct"
    assert "fft: 0.0200 against dct 0.0400" in sentences(groups())[0]


def test_the_headline_is_the_one_comparison_or_counts_them(make_run, groups):
    def said():
        return headline(findings(groups(), {"pde": "relative_l2"}), groups())

    make_run("monarch")
    assert said() == "Nothing to compare: no control run beside another of the same data."
    make_run("fft", error=0.04)
    assert said() == (
        "navier_stokes, fno, monarch: relative l2 25 % lower than with fft "
        "(one seed: cannot tell whether this is chance)."
    )
    for seed in (1, 2):
        make_run("fft", seed=seed, error=0.04 + 1e-4 * seed)
        make_run("monarch", seed=seed, error=0.03)
        make_run("dense", seed=seed, error=0.08)
    assert said() == (
        "2 comparisons with fft: 1 better, 1 worse. "
        "The best: navier_stokes, fno, monarch: relative l2 25 % lower than with fft."
    )

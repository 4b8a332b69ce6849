"""A change in words: its size, its interval, and whether it means anything."""

import pytest

from monarch_core.report.compare.claims import claim, summary
from monarch_core.report.statistics import change


def claimed(values, control, metric="relative_l2"):
    found = change(values, control, metric=metric, same_seeds=True)
    mean = sum(control) / len(control)
    return claim(found, metric, "fft", mean)


@pytest.mark.parametrize(
    ("values", "metric", "label", "text"),
    [
        ([0.5, 0.6, 0.7], "relative_l2", "better", "relative l2 40 % lower than with fft"),
        ([1.5, 1.6, 1.7], "relative_l2", "worse", "relative l2 60 % higher than with fft"),
        ([1.2, 0.9, 1.0], "relative_l2", "no difference", "relative l2 3.3 % higher than"),
        ([2.1, 2.3, 2.2], "psnr", "better", "psnr 1.20 dB higher than with fft"),
        ([1.1, 1.12, 1.09], "ssim", "better", "ssim 0.1033 higher than with fft"),
        ([0.5, 0.6, 0.7], "width", "changed", "width 40 % lower than with fft"),
        ([0.5], "relative_l2", "cannot tell", "relative l2 50 % lower than with fft"),
        ([1.0], "relative_l2", "no difference", "relative l2 equal to that with fft"),
        ([1.0002], "relative_l2", "no difference", "relative l2 as with fft in the digits shown"),
    ],
)
def test_every_outcome_has_its_words(values, metric, label, text):
    found = claimed(values, [1.0] * len(values), metric)
    assert found.label == label
    assert found.text.startswith(text)


def test_the_interval_is_that_of_student_in_the_words_of_the_change():
    found = claimed([0.5, 0.6, 0.7], [1.0, 1.0, 1.0])  # 0.6 -+ 4.303 * 0.1 / sqrt(3)
    assert found.reason == "95 % interval 15 to 65 % lower, 3 seeds: more than the seeds explain"
    found = claimed([0.9, 1.0, 1.2], [1.0, 1.0, 1.0])
    assert found.reason == "95 % interval 35 % lower to 41 % higher, 3 seeds: zero lies in it"
    found = claimed([31.0, 31.2], [30.0, 30.0], "psnr")  # 1.1 -+ 12.71 * 0.1
    assert found.reason.startswith("95 % interval 0.17 dB lower to 2.37 dB higher, 2 seeds")


def test_lower_is_lower_where_the_mean_is_negative():
    assert claimed([-2.0], [-1.0], "loss").text == "loss 100 % lower than with fft"
    assert claimed([-0.5], [-1.0], "loss").text == "loss 50 % higher than with fft"


def test_a_mean_that_is_missing_is_said_to_be():
    found = claim(None, "psnr", "fft", None)
    assert (found.label, found.text) == ("no change to give", "psnr: no change to give")


def test_outcomes_are_counted_the_better_first():
    claims = [claimed([x], [1.0]) for x in (0.5, 2.0, 1.0)]
    claims += [claimed([x, 1.01 * x], [1.0, 1.0]) for x in (2.0, 0.5, 0.5)]
    assert summary(claims) == "2 better, 1 worse, 1 no difference, 2 on one seed (cannot tell)"
    assert summary([]) == ""

"""A remedy that is printed can be pasted: shell and hydra make of it what was meant."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from monarch_core.runs.typed import quoted, typed

NAMES = [
    "u",
    "group/u",
    "/tmp/runs/own-1_2",
    "../up/x.1",
    ".5",
    "..",
    "été",
    "velocity_x",
    "my name",
    " edges ",
    "u,v",
    "speed [m/s]",
    "p(x)",
    "a=b",
    "it's",
    'a "b" c',
    'ends with "',
    "back\\slash",
    "ends with \\",
    '\\" both',
    "$HOME",
    "${seed}",
    "null",
    "True",
    "nan",
    "1e-3",
    "12",
    "Dichte ρ",
    "{x: 1}",
    "#",
    "*",
    "a;b && c",
    "",
]


def received(line):
    """Return what a program gets: words of the shell, value of hydra, interpolations done."""
    (word,) = shlex.split(line)
    parsed = OverridesParser.create().parse_override(word)
    return OmegaConf.create({parsed.key_or_group: parsed.value()})


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back(name):
    assert received(typed("key", name))["key"] == name
    assert list(received(typed("key", [name, "v", name]))["key"]) == [name, "v", name]


@pytest.mark.parametrize("name", [*NAMES, "tab\tthere", "end\n", "x" * 999])
def test_what_is_quoted_comes_back_whatever_it_holds(name):
    parsed = OverridesParser.create().parse_override(f"key={quoted(name)}")
    assert OmegaConf.create({"key": parsed.value()})["key"] == name


def test_plain_names_stay_as_they_are():
    assert typed("dataset.key", "group/u") == "dataset.key=group/u"
    assert typed("dataset.channels", ["u", "v"]) == "dataset.channels=[u,v]"
    assert typed("dataset.key", "my name") == "'dataset.key=\"my name\"'"

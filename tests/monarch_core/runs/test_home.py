"""A `~` at the beginning of a value is the home folder, wherever the value stands."""

import pytest

from monarch_core.runs.home import expand_home


@pytest.mark.parametrize(
    ("given", "expanded"),
    [
        ("run=~/a/b", "run=/h/u/a/b"),
        ("run=~", "run=/h/u"),
        ("hydra.run.dir=~/runs", "hydra.run.dir=/h/u/runs"),
        ("dataset.recipe.source_dir=~/x", "dataset.recipe.source_dir=/h/u/x"),
        ("dataset.path='~/a=b'", "dataset.path='/h/u/a=b'"),
        ("dataset.path=~/a,~/b", "dataset.path=/h/u/a,/h/u/b"),
        ("files=[~/a,'~/b']", "files=[/h/u/a,'/h/u/b']"),
        ("~transform", "~transform"),
        ("name=a~/b", "name=a~/b"),
        ("name=~other/b", "name=~other/b"),
        ("--cfg", "--cfg"),
    ],
)
def test_home_is_put_in(monkeypatch, given, expanded):
    monkeypatch.setenv("HOME", "/h/u")
    assert expand_home([given]) == [expanded]

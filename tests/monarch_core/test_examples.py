"""The examples in the docstrings of what is exported run as they stand, with their own imports."""

import doctest

import pytest
import torch

import monarch_core
import monarch_core.layers
import monarch_core.transforms

PUBLIC = {
    name: getattr(package, name)
    for package in (monarch_core, monarch_core.transforms, monarch_core.layers)
    for name in package.__all__
}
FINDER = doctest.DocTestFinder(recurse=False)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_example(name):
    torch.manual_seed(0)
    (test,) = FINDER.find(PUBLIC[name], name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    output = []
    failed, _ = doctest.DocTestRunner().run(test, out=output.append)
    assert not failed, "".join(output)


def test_the_example_of_a_matrix():
    (test,) = FINDER.find(monarch_core.Monarch.from_matrix, "from_matrix", module=False, globs={})
    assert doctest.DocTestRunner().run(test).attempted > 1

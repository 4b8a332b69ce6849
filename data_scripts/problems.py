"""What the check scripts print: one sentence per line, and how many problems there are."""

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console

from monarch_core.runs.printable import paragraph


def run_check(
    arguments: Sequence[str],
    usage: str,
    check: Callable[[Sequence[str]], Iterable[tuple[str, bool]]],
) -> int:
    """Run a check of the command line.

    Args:
        arguments: of the command line.
        usage: the command, and what its arguments are.
        check: yields sentences, and whether each is a problem; a ValueError is a wrong argument.

    Returns:
        0 if there is no problem, 1 otherwise, 2 for wrong arguments.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not arguments or arguments[0] in ("-h", "--help"):
        console.print(f"usage: {usage}")
        return 0 if arguments else 2
    n_problems = 0
    try:
        for sentence, is_problem in check(arguments):
            console.print(paragraph(sentence))
            n_problems += is_problem
    except ValueError as error:
        console.print(f"error: {paragraph(error)}")
        return 2
    console.print(f"{n_problems} problems" if n_problems else "no problems")
    return 1 if n_problems else 0

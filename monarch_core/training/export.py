"""Models as files that run without this suite: ONNX, and the programs of `torch.export`.

The batch may have any size, the other axes have the sizes of the example.
"""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from monarch_core.extras import require

require("neuralop", "tensorly")

from tensorly.plugins import use_default_einsum, use_opt_einsum  # noqa: E402

FORMATS = ("onnx", "pt2")
LARGEST_DIFFERENCE = 1e-3  # of a file and its model, relatively, by rounding over many frames
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export(
    model: nn.Module, example: Tensor, path: Path, file_format: str
) -> Callable[[Tensor], Tensor]:
    """Write a model of one input and one output, and return what the file computes.

    A network with neuralop's `SpectralConv` becomes a program of `torch.export`, but no ONNX: in
    torch 2.13 the translation stops at its complex weights ("No ONNX function found for
    aten.alias"). Transforms of real matrix products (`transform=monarch_frozen` is the same
    function as `transform=fft`) become either.

    Args:
        model: is put in evaluation mode.
        example: an input of at least two samples, on the CPU as the model is.
        path: of the file, in an existing folder.
        file_format: "onnx", run by onnxruntime, or "pt2", run by `torch.export.load`.

    Returns:
        The function that the file holds, as the program that reads it computes it.

    Raises:
        ValueError: as `check_file` says; for onnx, if a parameter is complex; for pt2, if the
            program would hold for one size of the batch alone.
    """
    check_file(path, file_format)
    batch = torch.export.Dim("batch", min=1)
    dynamic_shapes = ({0: batch},)
    if file_format == "onnx":
        _refuse_complex(model)
    with _ready(model):
        if file_format == "onnx":
            torch.onnx.export(
                model,
                (example,),
                path,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=dynamic_shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            return _onnx_runtime(path)
        try:
            program = torch.export.export(model, (example,), dynamic_shapes=dynamic_shapes)
        except torch._dynamo.exc.UserError as error:
            raise ValueError(
                "torch's exporter cannot trace this model for a batch of any size, as that of "
                "model=tfno with transform=fft, whose products of many factors it orders by the "
                "size of the batch; transform=monarch_frozen is the same function, and exports"
            ) from error
        torch.export.save(program, path)
        return torch.export.load(path).module()


def format_of(path: Path, asked: str | None = None) -> str:
    """Return the format of a file to write: that which its name ends in.

    Args:
        path: of the file.
        asked: the format where the name is to say nothing, or the same.

    Raises:
        ValueError: the name says another format than what is asked for, or none where none is.
    """
    said = path.suffix.removeprefix(".")
    if said not in FORMATS and asked is None:
        raise ValueError(
            f"out={path} must end in .{' or .'.join(FORMATS)}, which says its format; give such a "
            f"name, or format={' or format='.join(FORMATS)}"
        )
    if said in FORMATS and asked not in (None, said):
        raise ValueError(
            f"out={path} ends in .{said}, but format={asked} is asked for; leave format out, or "
            "give a name of that ending"
        )
    return asked or said


def check_file(path: Path, file_format: str) -> None:
    """Check before any work that a model can be written there in this format.

    Raises:
        ValueError: the format is unknown or its packages are missing, the folder is not there, or
            a file of another ending is in the way.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {file_format!r}")
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if file_format == "onnx" and missing:
        raise ValueError(
            f"a .onnx file needs {', '.join(missing)}; install them with "
            "`pip install 'monarch-science[deploy]'`, or write a .pt2 file"
        )
    if not path.parent.is_dir():
        raise ValueError(f"out must be in an existing folder, got {path}; make {path.parent} first")
    if path.exists() and (path.suffix != f".{file_format}" or not path.is_file()):
        raise ValueError(
            f"out={path} is there already and no file that ends in .{file_format}, which alone is "
            "replaced; choose another name"
        )


@torch.no_grad()
def compare(
    path: Path, model: nn.Module, exported: Callable[[Tensor], Tensor], inputs: list[Tensor]
) -> float:
    """Return the largest of max|exported(x) - model(x)| / max|model(x)| over the inputs x.

    Raises:
        ValueError: that is more than rounding, so that the file must not be used.
    """
    pairs = [(model(x), exported(x)) for x in inputs]
    difference = max(((b - a).abs().max() / a.abs().max()).item() for a, b in pairs)
    if not difference < LARGEST_DIFFERENCE:
        raise ValueError(
            f"do not use {path}: what it computes differs from the model by {difference:.1e}, "
            "which is more than rounding; torch's exporter has failed on this model without a word"
        )
    return difference


def _refuse_complex(model: nn.Module) -> None:
    names = [name for name, p in model.named_parameters() if p.is_complex()]
    if names:
        raise ValueError(
            f"this model cannot become ONNX: {names[0]} is complex, and the exporter of torch has "
            "no translation for complex weights. Train with transform=monarch_frozen, the same "
            "function in real numbers (model=tfno with model.factorization=null as well), or write "
            "a .pt2 file"
        )


@contextmanager
def _ready(model: nn.Module) -> Iterator[None]:
    """Prepare model and libraries for tracing, and silence what they say about themselves."""
    learned = [p for p in model.parameters() if p.requires_grad]
    model.eval().requires_grad_(False)
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    # neuralop lets opt_einsum choose an order of its products, which fixes the size of the batch.
    use_default_einsum()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings("ignore", "No complete tensor found", UserWarning)
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        use_opt_einsum("optimal")  # as neuralop sets it
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for parameter in learned:
            parameter.requires_grad_(True)


def _onnx_runtime(path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"input": x.numpy()})[0])

    return run

"""Options of MRI converters that cannot be, and places that are none."""

from bad_inputs import BadInput, assert_refused, table
from mri_conversions import convert_fastmri, fastmri_volume

from data_scripts.mri import bart_cfl, m4raw, skm_tea
from data_scripts.mri import low_field as mri_low_field
from data_scripts.mri.scanner import Scanner


def fastmri_with(**more):
    return lambda folder: convert_fastmri(folder, **more)


def bart_with(**more):
    return lambda _: bart_cfl.BartRecipe(**more)


def in_two_folders(folder):
    for part in ("one", "two"):
        (folder / part).mkdir()
        fastmri_volume(folder / part / "a.h5")
    convert_fastmri(folder, train=[str(folder / "one"), str(folder / "two")])


def empty_folder(folder):
    (folder / "nothing").mkdir()
    convert_fastmri(folder, train=[str(folder / "nothing")])


def folder_for_file(folder):
    (folder / "scan.h5").mkdir()
    convert_fastmri(folder, train=[str(folder / "scan.h5")])


def file_for_folder(folder):
    (folder / "file").write_text("")
    convert_fastmri(folder, out=str(folder / "file"))


def other_ending(folder):
    (folder / "a.txt").write_text("")
    convert_fastmri(folder, train=[str(folder / "a.txt")])


OPTIONS = (
    BadInput("kernel 0", bart_with(kernel=0), ("kernel=0", "usual are 6 and 24")),
    BadInput("a negative kernel", bart_with(kernel=-6), ("kernel=-6",)),
    BadInput("calibration 0", bart_with(calibration=0), ("calibration=0",)),
    BadInput("a kernel above the calibration", bart_with(kernel=25), ("kernel=25",)),
    BadInput("negative scans", bart_with(max_scans=-1), ("max_scans", "-1", "0 takes all")),
    BadInput("undersampled readout", bart_with(oversampling=0.5), ("oversampling", "got 0.5")),
    BadInput("oversampling NaN", bart_with(oversampling=float("nan")), ("got nan", "usual is 2")),
    BadInput("endless oversampling", bart_with(oversampling=float("inf")), ("got inf",)),
    BadInput("a kind that is none", bart_with(accept=["all"]), ("'all'", "'gaps'", "'maps'")),
    BadInput("unknown maps", bart_with(maps="walsh"), ("maps must be one of", "'walsh'")),
    BadInput(
        "calibration above the grid",
        fastmri_with(calibration=41),
        ("a.h5: ", "calibration 41", "grid (48, 40)", "take smaller"),
    ),
    BadInput("negative height", fastmri_with(height=-8), ("height", "-8", "0 takes")),
    BadInput("negative width", fastmri_with(width=-1), ("width", "-1")),
    BadInput("width above the grid", fastmri_with(width=1000), ("a.h5", "1000", "twice", "40")),
    BadInput(
        "slice step 0",
        lambda _: skm_tea.SkmTeaRecipe(slice_step=0),
        ("slice_step must be at least 1", "slice_step=0"),
    ),
    BadInput(
        "a subject in two splits",
        lambda _: mri_low_field.LowFieldRecipe(test=["7A"]),
        ("'7A'", "4A, 4B, 6A", "one split"),
    ),
    BadInput(
        "a subject that is not there",
        lambda _: mri_low_field.LowFieldRecipe(train=["4A", "9Z"]),
        ("'9Z' is none of the panels",),
    ),
    BadInput(
        "a displacement that is no number",
        lambda _: Scanner(trajectory=float("nan")),
        ("trajectory", "nan", "0 leaves it out"),
    ),
    BadInput("record 0", lambda _: m4raw.M4RawRecipe(record=0), ("record", "got 0")),
    BadInput(
        "archives of other splits",
        lambda _: m4raw.M4RawRecipe(archives={"../x": "train"}),
        ("archives must name", "../x"),
    ),
    BadInput("a place that is not there", fastmri_with(train=["/no/scan.h5"]), ("/no/scan.h5",)),
    BadInput("an empty folder", empty_folder, ("nothing holds no *.h5 file", "another folder")),
    BadInput("a folder for a file", folder_for_file, ("scan.h5 holds no *.h5 file",)),
    BadInput("a file for the folder", file_for_folder, ("file is a file", "out=FOLDER")),
    BadInput("a file of another kind", other_ending, ("a.txt is no *.h5 file", "give one")),
    BadInput("two sources of one name", in_two_folders, ("'a'", "one/a.h5", "two/a.h5", "rename")),
)


@table(*OPTIONS)
def test_options_that_cannot_be_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)
    assert not list(tmp_path.rglob("out/*.h5"))

"""Tell stars from galaxies in stamps: the probability that the object in the middle of each is a galaxy.

    python scripts/separate.py stamps/ --out galaxies.csv
    python scripts/separate.py "night2/**/*.fits" --psf-fwhm 3.4 --out galaxies.csv --galaxy-share 0.3

IN is a file, a folder (with its subfolders) or a pattern: FITS of 1 to 5 bands in linear units, or pictures. A row a
stamp: file, p_galaxy. Where several extensions of a file hold images, each is a stamp, such as stamps.fits[3], but for
weights, errors and flags. No label was used, unless --supervised asks for the network that was shown some. Noise is
taken from each stamp, and the seeing from the stamps of each folder together: give --psf-fwhm if it is known, or where
there are few. Stamps of one band whose bright pixels are cut off, as in 8-bit pictures, go another way ("clipped
profile"): without labels, and compared with the other stamps of their frame, which --frames, their names or their
folders tell. With fewer than a dozen they have no probability ("not told"); nor have stamps
that show nothing in their middle. Bands that were not observed are left out. Which way each went is in --json FILE. A
file that cannot be read or told is named in one sentence, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts.files import write_json
from galaxy_core.counting import count
from galaxy_core.errors import GalaxyError
from galaxy_core.frame_choices import DEFAULT_SEPARATOR
from scripts.reporting import artifacts_folder, check_output

ROOT = Path(__file__).resolve().parents[1]


def share(text: str) -> float:
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError(f"a share lies between 0 and 1, and {text} does not")
    return float(text)


def pixels(text: str) -> float:
    if not 1 <= float(text) <= 16:
        raise argparse.ArgumentTypeError(f"a seeing lies between 1 and 16 pixels, and {text} does not")
    return float(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("inputs", metavar="IN", nargs="+", help="files, folders or patterns of stamps")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="table to write, .csv")
    parser.add_argument(
        "--psf-fwhm", type=pixels, metavar="PX", help="seeing, pixels, in all bands (default: measured)"
    )
    share_help = "share of galaxies to expect before looking (default: what the model learned, by brightness)"
    parser.add_argument("--galaxy-share", type=share, metavar="F", help=share_help)
    parser.add_argument("--supervised", action="store_true", help="use the network that was shown labels")
    frames_help = (
        "CSV with columns file and source_frame, for stamps with bright pixels cut off (default: by name or folder)"
    )
    parser.add_argument("--frames", type=Path, metavar="CSV", help=frames_help)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was told, how, and why not, here")
    parser.add_argument("--model", default=DEFAULT_SEPARATOR, help="name or folder of the model (%(default)s)")
    parser.add_argument("--artifacts", type=artifacts_folder, default=ROOT / "artifacts", help="where models are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from galaxy_core.denoise_jobs import find_jobs, sources_of
    from galaxy_core.star_galaxy import UNTOLD, load_separator, separate
    from galaxy_core.star_galaxy_files import check_table, read_stamps, separation_report, write_separation

    check_table(options.out)
    for path in (options.out, options.json):
        check_output(path)
    model = load_separator(options.model, options.artifacts, options.device, options.supervised)
    jobs, problems = find_jobs(options.inputs, options.out)
    paths = sources_of(jobs)
    said = list(problems.values())
    with tqdm(total=len(paths), unit="stamp", desc="read", delay=2, disable=None) as bar:
        stamps, bad = read_stamps(paths, bar.update)
    for problem in said + bad:
        print(problem, file=sys.stderr)
    given = (options.psf_fwhm, options.galaxy_share, options.supervised, options.frames)
    with tqdm(unit="stamp", desc="fit profiles", delay=2, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        told = separate(model, stamps, *given, show)
    write_separation(options.out, stamps, told)
    if options.json:
        write_json(options.json, separation_report(stamps, told, said + bad))
    n_untold = int((told.ways == UNTOLD).sum())
    for note in told.notes:
        print(note, file=sys.stderr)
    n_galaxies = int((told.p_galaxy > 0.5).sum())
    files = count(len(stamps) + len(bad), "stamp", "stamps")
    print(f"{options.out}  {count(n_galaxies)} in {len(stamps) - n_untold:,} of {files}")
    return 1 if said or bad or n_untold else 0


def main() -> int:
    try:
        return run(parse())
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Denoise images with the shipped model; pictures keep name, format, bit depth and size, FITS comes out as float32.

    python scripts/denoise.py galaxy.fits *.jpg --out denoised/ --json report.json
    python scripts/denoise.py survey/ "night2/**/*.fits" --out denoised/ --residual

IN is a file, a folder (with its subfolders) or a pattern. FITS keeps its units, header and WCS, and HISTORY says which
model did what; frames of any size are read and written in strips. A file that cannot be read is named in one sentence,
the others go on, and the exit code is 1. A second run makes only what is missing or out of date.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts.files import write_json
from galaxy_core.engine import Engine, Loaded
from galaxy_core.errors import ArtifactError
from scripts.engine_options import add_engine_options, run_on_engine
from scripts.reporting import artifacts_folder, check_output

if TYPE_CHECKING:
    from galaxy_core.denoise_jobs import Job

ROOT = Path(__file__).resolve().parents[1]


def positive_number(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def parse(arguments: list[str] | None = None) -> tuple[argparse.Namespace, list[Job], dict[str, str]]:
    """Options, what there is to do, and inputs that hold no image."""
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("inputs", metavar="IN", nargs="+", help="image files, folders or patterns")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write noise, units and timing of every file here")
    form_help = "fits: floats without rounding, from pictures too, as <name>.fits (default: the format of the input)"
    parser.add_argument("--format", choices=("same", "fits"), default="same", help=form_help)
    parser.add_argument("--residual", action="store_true", help="write input - denoised as <name>_residual.fits too")
    parser.add_argument("--uncertainty", action="store_true", help="write one sigma as <name>_uncertainty.fits too")
    noise_help = "standard deviation of the sky noise in counts of the file (FITS: its unit); else estimated"
    parser.add_argument("--noise", metavar="SIGMA", type=positive_number, help=noise_help)
    parser.add_argument("--hdu", help="FITS extension, by number or EXTNAME (default: the first with an image)")
    parser.add_argument("--model", default="contrastive_denoiser", help="name of a model under ARTIFACTS/models")
    parser.add_argument("--artifacts", type=artifacts_folder, default=ROOT / "artifacts", help="where models are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    add_engine_options(parser)
    options = parser.parse_args(arguments)
    from galaxy_core.denoise_jobs import check_folders, find_jobs

    jobs, problems = find_jobs(options.inputs, options.out, options.format == "fits")
    try:
        check_folders(jobs, options.out)
    except ArtifactError as error:
        parser.error(str(error))
    return options, jobs, problems


def denoise_all(options: argparse.Namespace, jobs: list[Job], problems: dict[str, str], engine: Engine) -> int:
    from tqdm import tqdm

    from galaxy_core.denoise_batch import DenoiseOptions, denoise_files, load_denoiser
    from galaxy_core.denoise_jobs import LEDGER, Ledger
    from galaxy_core.denoiser_calls import weights_sha256

    root = engine.path(options.artifacts)
    load = partial(load_denoiser, options.model, root, options.device, options.uncertainty)
    model = Loaded(load(), load)
    for path in (options.out / LEDGER if jobs else None, options.json):
        check_output(path)
    names = ("format", "residual", "uncertainty", "noise", "hdu", "device")
    made_with = {"weights_sha256": weights_sha256(model.value), **{name: getattr(options, name) for name in names}}
    extras = tuple(what for what in ("residual", "uncertainty") if getattr(options, what))
    wanted = DenoiseOptions(options.noise, options.hdu, options.format == "fits", extras)
    for problem in problems.values():
        print(problem, file=sys.stderr)
    entries = {}
    with tqdm(total=len(jobs), unit="file", desc="denoise", delay=2, leave=False, disable=None) as bar:

        def show(done: float) -> None:
            bar.update(round(done, 2) - bar.n)

        for number, entry in denoise_files(jobs, wanted, model, Ledger(options.out, made_with), engine, show):
            entries[number] = entry
            print_entry(jobs[number], entry)
    found = [entries[number] for number in sorted(entries)]
    files = [{"input": text, "error": problem} for text, problem in problems.items()] + found
    if options.json:
        write_json(options.json, {"files": files})
    return 1 if any("error" in entry for entry in files) else 0


def print_entry(job: Job, entry: dict) -> None:
    """A line on one file, where it belongs."""
    if "error" in entry:
        print(entry["error"], file=sys.stderr)
        return
    noise = f"sky noise {entry['noise_sigma']:.3g} {entry['noise_unit']}, {entry['seconds']:.1f} s"
    noise = noise if entry["noise_sigma"] else "no noise found, so unchanged; give it with --noise if you know it"
    print(f"{job.source} -> {job.target}  {'up to date' if entry['up_to_date'] else noise}", flush=True)


def main() -> int:
    options, jobs, problems = parse()
    return run_on_engine(options, partial(denoise_all, options, jobs, problems))


if __name__ == "__main__":
    sys.exit(main())

"""Denoise images with the shipped model: what comes out has the name, format, bit depth and size of what went in.

    python scripts/denoise.py galaxy.fits *.jpg --out denoised/ --json report.json
    python scripts/denoise.py survey/ "night2/**/*.fits" --out denoised/ --residual

IN is a file, a folder (with its subfolders) or a pattern. FITS keeps its units, header and WCS, and HISTORY says which
model did what; frames of any size are read and written in strips. A file that cannot be read is named in one sentence,
the others go on, and the exit code is 1. A second run makes only what is missing or out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from galaxy_core.artifacts.files import write_json
from galaxy_core.denoise_jobs import Job, Ledger, check_folders, claim, describe, find_jobs, remove_leftovers
from galaxy_core.denoise_run import denoise_job
from galaxy_core.denoiser_calls import says_how_sure, weights_sha256
from galaxy_core.embedding import find_model
from galaxy_core.errors import ArtifactError, GalaxyError, ModelError
from scripts.reporting import artifacts_folder

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
    options = parser.parse_args(arguments)
    jobs, problems = find_jobs(options.inputs, options.out, options.format == "fits")
    try:
        check_folders(jobs, options.out)
    except ArtifactError as error:
        parser.error(str(error))
    return options, jobs, problems


def denoise_or_keep(job: Job, options: argparse.Namespace, model: object, ledger: Ledger, claimed: dict) -> dict:
    extras = [what for what in ("residual", "uncertainty") if getattr(options, what)]
    claim(job, extras, claimed)
    for path in (job.target, *(job.extra(what) for what in extras)):
        remove_leftovers(path)
    kept = ledger.find(job)
    if kept is not None:
        print(f"{job.source} -> {job.target}  up to date")
        return {**kept, "up_to_date": True}
    source, as_fits = describe(job.source), options.format == "fits"
    with tqdm(total=100, unit="%", desc=job.source.name[:40], delay=2, leave=False, disable=None) as bar:

        def show(done: float) -> None:
            bar.update(100 * done - bar.n)

        report, written = denoise_job(job, model, options.noise, options.hdu, as_fits, extras, show)
    ledger.add(job, source, written, report)
    noise = f"sky noise {report['noise_sigma']:.3g} {report['noise_unit']}"
    print(f"{job.source} -> {job.target}  {noise}, {report['seconds']:.1f} s")
    return {**report, "up_to_date": False}


def denoise_all(options: argparse.Namespace, jobs: list[Job], problems: dict[str, str]) -> int:
    from galaxy_core.models import load_model, resolve_device

    model = load_model(find_model(options.model, options.artifacts)).to(resolve_device(options.device))
    if not hasattr(model, "denoise"):
        raise ModelError(f"The model {options.model} does not denoise; name a contrastive denoiser with --model.")
    if options.uncertainty and not says_how_sure(model):
        raise ModelError(f"The model {options.model} does not say how sure it is; leave out --uncertainty.")
    names = ("format", "residual", "uncertainty", "noise", "hdu", "device")
    made_with = {"weights_sha256": weights_sha256(model), **{name: getattr(options, name) for name in names}}
    ledger, claimed = Ledger(options.out, made_with), {}
    entries = [{"input": text, "error": problem} for text, problem in problems.items()]
    for problem in problems.values():
        print(problem, file=sys.stderr)
    for job in jobs:
        try:
            entries.append(denoise_or_keep(job, options, model, ledger, claimed))
        except (GalaxyError, OSError, MemoryError) as error:
            said = " ".join(str(error).split()) or f"{job.source} does not fit in memory."
            print(said, file=sys.stderr)
            entries.append({"input": str(job.source), "error": said})
    if options.json:
        write_json(options.json, {"files": entries})
    return 1 if any("error" in entry for entry in entries) else 0


def main() -> int:
    options, jobs, problems = parse()
    try:
        return denoise_all(options, jobs, problems)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what is done stays, and the same command goes on from there.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Find the objects of survey frames: a catalogue and a segmentation map for each, as the page Frame makes them.

    python scripts/detect.py field.fits night2/ --out catalogues/ --json report.json
    python scripts/detect.py r.fits g.fits i.fits --bands --out catalogues/

IN is a file, a folder (with its subfolders, which are kept below DIR) or a pattern such as "night2/**/*.fits": FITS
images of any size (plain, gzipped or tile-compressed; planes of a cube are bands) or colour pictures, which are marked
as uncalibrated. With --bands all of them are bands of one field on the same pixels. Writes <stem>_catalog.fits and
<stem>_segmentation.fits for each. Stars are told from galaxies (p_galaxy) where the frame shows its
seeing, or --psf-fwhm gives it; flags say of which objects it could not be told. A frame that cannot be read is named in
one sentence, the others go on, and the exit code is 1. A second run makes only what is missing or out of date.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts.files import write_json
from galaxy_core.counting import count
from galaxy_core.engine import Engine
from galaxy_core.frame_choices import (
    DEFAULT_FALSE_PER_MEGAPIXEL,
    DEFAULT_SEPARATOR,
    METHODS,
    MOST_MAG,
    SUFFIXES,
    WEIGHT_KINDS,
    bits_of,
)
from scripts.engine_options import add_engine_options, run_on_engine
from scripts.reporting import artifacts_folder, check_output

if TYPE_CHECKING:
    from galaxy_core.frame_jobs import FrameJob

ROOT = Path(__file__).resolve().parents[1]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("inputs", metavar="IN", nargs="+", help="files, folders or patterns of FITS frames or pictures")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write counts, thresholds and timing here")
    parser.add_argument("--bands", action="store_true", help="the frames are aligned bands of one field")
    parser.add_argument("--method", choices=METHODS, default="segmenter", help="what looks for objects (%(default)s)")
    sensitivity_help = "false detections accepted in a million pixels; more finds fainter objects (%(default)g)"
    parser.add_argument(
        "--sensitivity", type=float, metavar="N", default=DEFAULT_FALSE_PER_MEGAPIXEL, help=sensitivity_help
    )
    parser.add_argument(
        "--formats", nargs="+", choices=tuple(SUFFIXES), default=[], help="further forms of the catalogue"
    )
    zero_help = "magnitude of a flux of one: of all bands, or of each in its order (default: what headers say)"
    parser.add_argument("--zero-point", type=float, nargs="+", metavar="MAG", help=zero_help)
    weights_help = "maps of noise or masks: a file for each frame, an extension (WHT) or an ending (.weight.fits)"
    parser.add_argument("--weights", nargs="+", default=[], metavar="MAP", help=weights_help)
    kind_help = "what they hold: weights are inverse variances, masks 0 where good (default: as their names say)"
    parser.add_argument("--weight-type", choices=tuple(WEIGHT_KINDS), help=kind_help)
    masks_help = "bit masks (0: good) beside maps of noise, named as these are"
    parser.add_argument("--masks", nargs="+", default=[], metavar="MASK", help=masks_help)
    bits_help = "bits of masks that leave a pixel out, as 1 4 4096 (default: all)"
    parser.add_argument("--mask-bits", nargs="+", default=[], metavar="BIT", help=bits_help)
    saturated_help = "value from which pixels are saturated (default: what headers say, or what the pixels show)"
    parser.add_argument("--saturated-from", type=float, metavar="LEVEL", help=saturated_help)
    parser.add_argument("--hdu", help="FITS extension, by number or EXTNAME (default: the first with an image)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise that the threshold is set on (%(default)s)")
    parser.add_argument("--model", default="segmenter", help="name of a model under ARTIFACTS/models")
    parser.add_argument(
        "--separator",
        metavar="MODEL",
        default=DEFAULT_SEPARATOR,
        help="model that tells stars from galaxies, or none (%(default)s; left out where it is not there)",
    )
    parser.add_argument(
        "--psf-fwhm", type=float, metavar="PX", help="seeing in pixels, in all bands (default: measured on its stars)"
    )
    share_help = "share of galaxies to expect before looking (default: as learned, or fewer if the frame shows so)"
    parser.add_argument("--galaxy-share", type=float, metavar="F", help=share_help)
    parser.add_argument("--artifacts", type=artifacts_folder, default=ROOT / "artifacts", help="where models are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    add_engine_options(parser)
    options = parser.parse_args(arguments)
    try:
        options.mask_bits = bits_of(" ".join(options.mask_bits))
    except ValueError as error:
        parser.error(f"--mask-bits: {error}")
    if not 0 < options.sensitivity < 1e5:
        parser.error("--sensitivity takes a number above 0 and below 100,000")
    if options.psf_fwhm is not None and not 1 <= options.psf_fwhm <= 30:
        parser.error("--psf-fwhm takes a number of pixels from 1 to 30")
    if not all(abs(value) < MOST_MAG for value in options.zero_point or ()):
        parser.error(f"--zero-point takes magnitudes from -{MOST_MAG:g} to {MOST_MAG:g}")
    if options.galaxy_share is not None and not 0 < options.galaxy_share < 1:
        parser.error("--galaxy-share takes a number between 0 and 1")
    return options


def detect_all(options: argparse.Namespace, engine: Engine) -> int:
    from tqdm import tqdm

    from galaxy_core.frame_catalog import FrameConfig
    from galaxy_core.frame_jobs import check_targets, detect_jobs, find_frames, load_networks

    jobs, problems = find_frames(options.inputs, options.out, options.bands, options.weights, options.masks)
    forms = ["fits", *(form for form in options.formats if form != "fits")]
    check_targets(jobs, forms)
    for path in (*{job.out: job.target("segmentation") for job in jobs}.values(), options.json):
        check_output(path)
    for problem in problems.values():
        print(problem, file=sys.stderr)
    segmenter = options.model if options.method == "segmenter" else None
    separator = None if options.separator == "none" else options.separator
    load = partial(load_networks, segmenter, separator, engine.path(options.artifacts), options.device)
    told = {"psf_fwhm_px": options.psf_fwhm, "galaxy_share": options.galaxy_share, "weight_kind": options.weight_type}
    told["saturated_from"] = options.saturated_from
    told["mask_bits"] = options.mask_bits
    told["zero_points"] = tuple(options.zero_point) if options.zero_point else None
    config = FrameConfig(options.method, options.sensitivity, seed=options.seed, **told)
    entries = {}
    with tqdm(total=len(jobs), unit="frame", desc="detect", delay=2, leave=False, disable=None) as bar:

        def show(done: float) -> None:
            bar.update(round(done, 2) - bar.n)

        for number, report in detect_jobs(jobs, config, load, forms, options.hdu, engine, show):
            entries[number] = report
            print_report(jobs[number], report)
    frames = [{"input": [text], "error": problem} for text, problem in problems.items()]
    frames += [entries[number] for number in sorted(entries)]
    if options.json:
        write_json(options.json, {"frames": frames})
    return 1 if any("error" in entry for entry in frames) else 0


def print_report(job: FrameJob, report: dict) -> None:
    """A line on one frame, where it belongs."""
    if "error" in report:
        print(report["error"], file=sys.stderr)
        return
    state = "up to date" if report["up_to_date"] else f"{sum(report['seconds'].values()):.1f} s"
    objects = count(report["n_objects"], "object", "objects")
    are = "is a galaxy" if report["n_galaxies"] == 1 else "are galaxies"
    kinds = f", {report['n_galaxies']:,} of {report['n_told']:,} told {are}" if report["n_told"] else ""
    print(f"{job.sources[0]} -> {job.target('fits')}  {objects}{kinds}, {state}", flush=True)


def main() -> int:
    options = parse()
    return run_on_engine(options, partial(detect_all, options))


if __name__ == "__main__":
    sys.exit(main())

"""Find the objects of survey frames: a catalogue and a segmentation map for each, as the page Frame makes them.

    python scripts/detect.py field.fits night2/*.fits --out catalogues/ --json report.json
    python scripts/detect.py r.fits g.fits i.fits --bands --out catalogues/

FRAME is a FITS image of any size (plain, gzipped or tile-compressed; planes of a cube are bands) or a colour picture,
which is marked as uncalibrated. With --bands all of them are bands of one field on the same pixels. Writes
<stem>_catalog.fits and <stem>_segmentation.fits. Stars are told from galaxies (p_galaxy) where the frame shows its
seeing, or --psf-fwhm gives it; flags say of which objects it could not be told. A frame that cannot be read is named in
one sentence, the others go on, and the exit code is 1. A second run makes only what is missing or out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from galaxy_core.artifacts.files import write_json
from galaxy_core.denoiser_calls import weights_sha256
from galaxy_core.embedding import find_model
from galaxy_core.errors import GalaxyError
from galaxy_core.frame_catalog import FrameConfig
from galaxy_core.frame_detectors import DEFAULT_FALSE_PER_MEGAPIXEL, METHODS
from galaxy_core.frame_exports import WRITERS
from galaxy_core.frame_jobs import FrameJob, check_targets, detect_job
from galaxy_core.star_galaxy import DEFAULT_SEPARATOR, has_model, load_separator

ROOT = Path(__file__).resolve().parents[1]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("frames", metavar="FRAME", nargs="+", type=Path, help="FITS frames or pictures")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write counts, thresholds and timing here")
    parser.add_argument("--bands", action="store_true", help="the frames are aligned bands of one field")
    parser.add_argument("--method", choices=METHODS, default="segmenter", help="what looks for objects (%(default)s)")
    sensitivity_help = "false detections accepted in a million pixels; more finds fainter objects (%(default)g)"
    parser.add_argument(
        "--sensitivity", type=float, metavar="N", default=DEFAULT_FALSE_PER_MEGAPIXEL, help=sensitivity_help
    )
    parser.add_argument(
        "--formats", nargs="+", choices=tuple(WRITERS), default=[], help="further forms of the catalogue"
    )
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
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts", help="where models are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    share_help = "share of galaxies to expect before looking (default: what the model learned, by brightness)"
    parser.add_argument("--galaxy-share", type=float, metavar="F", help=share_help)
    options = parser.parse_args(arguments)
    if not 0 < options.sensitivity < 1e5:
        parser.error("--sensitivity takes a number above 0 and below 100,000")
    if options.psf_fwhm is not None and not 1 <= options.psf_fwhm <= 30:
        parser.error("--psf-fwhm takes a number of pixels from 1 to 30")
    if options.galaxy_share is not None and not 0 < options.galaxy_share < 1:
        parser.error("--galaxy-share takes a number between 0 and 1")
    return options


def load_segmenter(options: argparse.Namespace):
    from galaxy_core.models import load_model, resolve_device

    return load_model(find_model(options.model, options.artifacts), resolve_device(options.device))


def load_kinds(options: argparse.Namespace):
    """What tells stars from galaxies; None where it is not wanted, or the standard one is not there."""
    if options.separator == "none":
        return None
    if options.separator == DEFAULT_SEPARATOR and not has_model(options.separator, options.artifacts):
        return None
    return load_separator(options.separator, options.artifacts, options.device)


def detect_all(options: argparse.Namespace) -> int:
    groups = [tuple(options.frames)] if options.bands else [(path,) for path in options.frames]
    jobs = [FrameJob(group, options.out) for group in groups]
    check_targets(jobs)
    model = load_segmenter(options) if options.method == "segmenter" else None
    separator = load_kinds(options)
    told = {"psf_fwhm_px": options.psf_fwhm, "galaxy_share": options.galaxy_share}
    config = FrameConfig(options.method, options.sensitivity, seed=options.seed, **told)
    made_with = {
        "weights_sha256": weights_sha256(model) if model is not None else "",
        "separator_sha256": weights_sha256(separator) if separator is not None else "",
    }
    forms = ["fits", *(form for form in options.formats if form != "fits")]
    entries = []
    for job in jobs:
        try:
            with tqdm(total=100, unit="%", desc=job.stem[:40], delay=2, leave=False, disable=None) as bar:

                def show(done: float, bar=bar) -> None:
                    bar.update(100 * done - bar.n)

                report = detect_job(job, config, model, forms, made_with, options.hdu, show, separator)
            entries.append(report)
            state = "up to date" if report["up_to_date"] else f"{sum(report['seconds'].values()):.1f} s"
            kinds = f", {report['n_galaxies']:,} of {report['n_told']:,} told are galaxies" if report["n_told"] else ""
            print(f"{job.sources[0]} -> {job.target('fits')}  {report['n_objects']:,} objects{kinds}, {state}")
        except (GalaxyError, OSError, MemoryError) as error:
            said = " ".join(str(error).split()) or f"{job.sources[0]} does not fit in memory."
            print(said, file=sys.stderr)
            entries.append({"input": [str(path) for path in job.sources], "error": said})
    if options.json:
        write_json(options.json, {"frames": entries})
    return 1 if any("error" in entry for entry in entries) else 0


def main() -> int:
    try:
        return detect_all(parse())
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what is done stays, and the same command goes on from there.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

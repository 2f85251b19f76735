"""What can be chosen when a frame is searched, without what does the search: commands answer `--help` at once."""

METHODS = ("segmenter", "sep")
DEFAULT_FALSE_PER_MEGAPIXEL = 10.0
MOST_MAG = 60.0  # no zero point is farther from 0, which is one, too: of fluxes in units of the zeroth magnitude
DEFAULT_SEPARATOR = "star_galaxy"
SUFFIXES = {"fits": ".fits", "votable": ".vot", "csv": ".csv", "parquet": ".parquet", "regions": ".reg"}

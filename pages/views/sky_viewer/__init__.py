"""The frame viewer: one image with its objects and the grid of the sky over it, drawn by the image viewer's code."""

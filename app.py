"""Galaxy Atlas: what is loaded, how it got here, and where to go."""

from pages.views import frame, overview, readers

artifacts_root = frame.open_page("Galaxy Atlas")
catalog_name = frame.choose_catalog(artifacts_root)
with frame.panel():
    galaxies = readers.open_catalog(artifacts_root, catalog_name)
    frame.show_problems(galaxies.problems)
    overview.draw_headline(galaxies)
    overview.draw_samples(galaxies)
    overview.draw_pages()
    overview.draw_numbers(galaxies)
overview.draw_own_data(artifacts_root)
overview.draw_links()

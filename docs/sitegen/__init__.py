"""Writes the pages of the reference that follow from the code, and the files for language models.

``pages.reference_pages`` returns the pages. ``conf.py`` writes them before Sphinx reads its sources.
"""

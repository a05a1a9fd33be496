"""The report page: one self-contained HTML file, and its figures as PNG and SVG beside it.

records (what is shown) -> encode, curves, pictures -> page, figures
"""

"""Charts as shapes of SVG in a box of 100 by 100, with their scales and words beside them. Pure.

What is drawn here is what is seen without JavaScript. Shapes stretch with the page, words don't.
"""

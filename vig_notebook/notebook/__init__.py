"""The rooms that know IPython and ipywidgets: the view of a run, the cell magic, the panel."""

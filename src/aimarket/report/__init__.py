"""After the run: summary table, figures and progress. Reads recorded frames only; knows nothing of the model.

Import from the modules (`report.figures`, `report.summary`, `report.progress`): a run that shows only its progress
should not wait for the plotting libraries.
"""

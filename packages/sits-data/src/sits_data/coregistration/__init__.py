"""Dates of a cube that do not lie on each other: measured, reported, and on request moved back."""

from sits_data.coregistration.correct import Corrected, correct_cube
from sits_data.coregistration.measure import measure_shifts
from sits_data.coregistration.record import Shifts, shifts_folder, write_shifts

__all__ = ["Corrected", "Shifts", "correct_cube", "measure_shifts", "shifts_folder", "write_shifts"]

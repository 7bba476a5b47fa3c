"""Conversions between units. Inside the model: USD, Mtok, seconds, months, GPUs, kWh."""

import math

HOURS_PER_DAY = 24
HOURS_PER_MONTH = 365.25 * 24 / 12
MONTHS_PER_YEAR = 12
TOKENS_PER_MTOK = 1e6
SECONDS_PER_HOUR = 3600.0
EARTH_RADIUS_KM = 6371.0
TRACE = 1e-200  # of anything, in any unit: less is nothing, and a ratio to it would overflow
# An Arena rating is an Elo rating: 400 points are odds of 10 to 1 (Elo, 1978; Chiang et al., 2024, Chatbot Arena).
LOGITS_PER_RATING_POINT = math.log(10) / 400


def months_between(start: str, end: str) -> int:
    """Months from calendar month `start` to `end`, both "YYYY-MM"; negative if `end` lies before."""
    (start_year, start_month), (end_year, end_month) = (map(int, date.split("-")) for date in (start, end))
    return (end_year - start_year) * MONTHS_PER_YEAR + end_month - start_month

"""Time and date, from the session's start and the audio clock."""

from datetime import datetime
from typing import Any

from assistant.toolbox.own import Moment, OwnTool, RefusedError, parameters, text
from assistant.toolbox.times import day, local, said, said_day
from assistant.tools.tool import Tool


class Clock:
    """What time it is, without looking at a clock."""

    def __init__(self, started: datetime | None) -> None:
        """`started`: local time at the stream's first sample; None: not known yet."""
        self.started = started

    def tools(self) -> list[OwnTool]:
        """What an LLM may ask of it."""
        return [
            OwnTool(
                Tool("get_time", "Tell what time it is now.", parameters()),
                self._time,
            ),
            OwnTool(
                Tool(
                    "get_date",
                    "Tell today's date, or the date and weekday of another day.",
                    parameters(day=text("Which day, such as today, next friday or 24 december.")),
                ),
                self._date,
            ),
        ]

    def _time(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        return {"time": said(local(self.started, moment.at))}

    def _date(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        today = local(self.started, moment.at).date()
        asked = arguments.get("day") or "today"
        found = day(asked, today)
        if found is None:
            raise RefusedError(f"{asked!r:.60} is not a day I understand.")
        return {"date": said_day(found), "days_from_today": (found - today).days}

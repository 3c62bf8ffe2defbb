"""What is written short, and how it is said."""

ABBREVIATIONS = {
    "dr.": "Doctor", "mr.": "Mister", "mrs.": "Missus", "ms.": "Miz", "prof.": "Professor",
    "gen.": "General", "gov.": "Governor", "sen.": "Senator", "rep.": "Representative",
    "capt.": "Captain", "lt.": "Lieutenant", "col.": "Colonel", "sgt.": "Sergeant",
    "rev.": "Reverend", "hon.": "Honorable", "jr.": "Junior", "sr.": "Senior", "mt.": "Mount",
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "vs": "versus",
    "approx.": "approximately", "ca.": "about", "cf.": "compare", "incl.": "including",
    "dept.": "department", "est.": "established", "fig.": "figure", "vol.": "volume",
    "ave.": "Avenue", "blvd.": "Boulevard", "rd.": "Road", "apt.": "apartment",
    "inc.": "Incorporated", "ltd.": "Limited", "corp.": "Corporation", "co.": "Company",
    "jan.": "January", "feb.": "February", "aug.": "August", "sept.": "September",
    "oct.": "October", "nov.": "November", "dec.": "December", "w/": "with", "w/o": "without",
    "tbsp": "tablespoon", "tsp": "teaspoon", "a.k.a.": "also known as", "aka": "also known as",
}  # fmt: skip
"""Said in full, in any case of letters."""

NO_SENTENCE_ENDS = frozenset(
    {name for name in ABBREVIATIONS if name.endswith(".") and name not in ("etc.", "inc.", "co.")}
    | {"st.", "p.m.", "a.m."}
)
"""In small letters: a dot after them ends no sentence, as a rule."""

UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "km/s": ("kilometer per second", "kilometers per second"),
    "km²": ("square kilometer", "square kilometers"),
    "m²": ("square meter", "square meters"),
    "m³": ("cubic meter", "cubic meters"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "nm": ("nanometer", "nanometers"),
    "m": ("meter", "meters"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "yd": ("yard", "yards"), "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"), "lbs": ("pound", "pounds"), "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"), "l": ("liter", "liters"), "L": ("liter", "liters"),
    "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"), "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "dB": ("decibel", "decibels"), "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"), "sec": ("second", "seconds"), "min": ("minute", "minutes"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "kcal": ("kilocalorie", "kilocalories"), "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
}  # fmt: skip
"""After a number: of one, and of several."""

MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
"""Before a number: one, several, and their hundredths."""

LARGE = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
"""After an amount of money, besides the words themselves."""

MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip

FRACTIONS = {
    "½": "one half", "⅓": "one third", "⅔": "two thirds", "¼": "one quarter", "¾": "three quarters",
    "⅛": "one eighth",
}  # fmt: skip
PARTS = {2: "half", 3: "third", 4: "quarter"}
"""Names of fractions that are no ordinals."""

SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "×": "times",
    "÷": "divided by",
    "±": "plus or minus", "≈": "about", "~": "about", "→": "to", "/": "slash", "%": "percent",
    "<": "less than", ">": "greater than", "≤": "at most", "≥": "at least", "€": "euros",
    "£": "pounds", "$": "dollars", "°": "degrees", "√": "square root of", "π": "pi",
    "²": "squared", "³": "cubed", "−": "minus",
}  # fmt: skip
"""Said wherever they stand alone, or between words."""

CARDINAL_BEFORE = {
    "war", "chapter", "part", "act", "volume", "book", "level", "type", "phase", "stage", "section",
}  # fmt: skip
"""Words after which a Roman numeral counts; after another name it says which one of that name."""

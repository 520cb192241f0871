-- The demo's database. Times are local to the airport and ISO 8601; missing values are NULL.

CREATE TABLE states ( -- states, the federal district and territories of the US
    code TEXT NOT NULL PRIMARY KEY CHECK (length(code) = 2), -- postal code
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('state', 'federal district', 'territory')),
    capital TEXT,
    capital_latitude REAL, -- degrees
    capital_longitude REAL
) WITHOUT ROWID;

CREATE TABLE airports ( -- airports of the US and its territories
    iata TEXT NOT NULL PRIMARY KEY, -- the FAA's or IATA's code
    name TEXT NOT NULL,
    city TEXT,
    state TEXT REFERENCES states (code),
    latitude REAL NOT NULL,
    longitude REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE flights ( -- a sample of domestic flights from January to March 2001, one a row
    id INTEGER PRIMARY KEY,
    departure TEXT NOT NULL, -- YYYY-MM-DD HH:MM
    origin TEXT NOT NULL REFERENCES airports (iata),
    destination TEXT NOT NULL REFERENCES airports (iata),
    distance_miles INTEGER NOT NULL,
    delay_minutes INTEGER NOT NULL -- negative is early
);

CREATE TABLE routes ( -- how often each route was flown in 2008
    origin TEXT NOT NULL REFERENCES airports (iata),
    destination TEXT NOT NULL REFERENCES airports (iata),
    flights_2008 INTEGER NOT NULL,
    PRIMARY KEY (origin, destination)
) WITHOUT ROWID;

CREATE TABLE seattle_weather ( -- one day a row, 2012 to 2015
    day TEXT NOT NULL PRIMARY KEY, -- YYYY-MM-DD
    precipitation_mm REAL NOT NULL,
    temperature_max_c REAL NOT NULL,
    temperature_min_c REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE sources ( -- where each of these tables comes from
    table_name TEXT NOT NULL PRIMARY KEY,
    publisher TEXT NOT NULL,
    what TEXT NOT NULL,
    terms TEXT NOT NULL,
    obtained_from TEXT NOT NULL
) WITHOUT ROWID;

CREATE VIEW flight_details AS -- flights with the cities and states of both airports
SELECT f.id, f.departure, f.delay_minutes, f.distance_miles,
       f.origin, o.city AS origin_city, o.state AS origin_state,
       f.destination, d.city AS destination_city, d.state AS destination_state
FROM flights f
JOIN airports o ON o.iata = f.origin
JOIN airports d ON d.iata = f.destination;

INSERT INTO sources VALUES
    ('states', 'U.S. Geological Survey, The National Map',
     'States with their capitals; postal codes, the federal district and five territories were added',
     'public domain: a work of the U.S. government', 'vega-datasets 3.2.1, us-state-capitals.json'),
    ('airports', 'U.S. Federal Aviation Administration, through Data.gov',
     'Airports of the United States and its territories, coordinates rounded to four digits; four airports of '
     || 'other countries were left out, which no flight or route here uses',
     'public domain: a work of the U.S. government', 'vega-datasets 3.2.1, airports.csv'),
    ('flights', 'U.S. Bureau of Transportation Statistics, Airline On-Time Performance Data',
     'A sample of 10,000 domestic flights from January to March 2001',
     'facts that carriers must report to the U.S. government (14 CFR part 234)',
     'vega-datasets 3.2.1, flights-10k.json'),
    ('routes', 'U.S. Bureau of Transportation Statistics, Airline On-Time Performance Data',
     'How many flights went from one airport to another in 2008',
     'public domain: a work of the U.S. government', 'vega-datasets 3.2.1, flights-airport.csv'),
    ('seattle_weather', 'U.S. National Oceanic and Atmospheric Administration, National Climatic Data Center',
     'Daily rain and temperatures in Seattle from 2012 to 2015',
     'public domain: a work of the U.S. government', 'vega-datasets 3.2.1, seattle-weather.csv');

-- Finds what was spent so long ago that nobody asks for it again (protocol/services.py, SPENT_FOR_MS).
CREATE INDEX spent ON record (version) WHERE name = 'spent'

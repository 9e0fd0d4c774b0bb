"""The Python services of a church's platform, as small as they can be: two APIs and a worker."""

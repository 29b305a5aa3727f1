"""Pull: pages of an API become files of the landing area; from there on they are exports like any other."""

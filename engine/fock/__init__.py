"""Second quantisation: determinants as bit strings, selected spaces, neural backflow."""

"""How the language of reviews shifts over the years and between star ratings."""

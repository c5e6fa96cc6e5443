"""Recipes: one TOML file describes the whole experiment."""

from sskt_edge.recipe.load import load_recipe, parse_recipe, recipe_sha256
from sskt_edge.recipe.models import Recipe

__all__ = ["Recipe", "load_recipe", "parse_recipe", "recipe_sha256"]

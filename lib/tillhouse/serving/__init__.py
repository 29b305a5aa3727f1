"""How people and programs outside reach gold."""

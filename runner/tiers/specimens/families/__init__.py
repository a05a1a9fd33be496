"""Families of specimens: one module for each kind of material, one function for each family.

A family takes the box and a random generator and returns a `Crystal` that fills the box. Everything
that varies (rotation, defects, thickness, shapes) is drawn from the generator. Defects are not
relaxed. Lattice constants are those of the bulk crystals at room temperature.
"""

"""The public contract: thin Strawberry types, each with a description. `schema.graphql` is its printed form, checked by a test."""

from schema import enums as enums  # the domain's enums are published before any type names one

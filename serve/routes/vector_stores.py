"""Routes of vector stores, to be filled in."""

from fastapi import APIRouter

router = APIRouter()

require "include";
include "itself";

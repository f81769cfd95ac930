-- End a record. ARGV: namespace, kind, id, token, final state, then fields and values. Returns 1, or 0 when fenced off.
local kind, id = ARGV[2], ARGV[3]
if not owns(id, ARGV[4]) then return 0 end
set_fields(record_of(kind, id), 6)
finish(kind, id, ARGV[5], clock())
return 1

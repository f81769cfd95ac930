-- Hold a source, a sink or a target by somebody's word. ARGV: namespace, `<kind>:<name>`, ms until when (0: until
-- somebody says otherwise). Who is at work ends its slice; nobody else begins.
redis.call('HSET', ns .. ':paused', ARGV[2], ARGV[3])

-- SPDX-License-Identifier: BSD-3-Clause
-- Writes down who was remediated, or takes that back: some clients a call, each with the same mark.
--
-- KEYS[1]  teredown:{R}:remediated
-- ARGV     the most clients that may be marked; the mark (a JSON object) or '' to take it back; then the clients
--
-- Returns { clients marked or no longer marked, clients that found no place }.

local key, most, mark = KEYS[1], tonumber(ARGV[1]), ARGV[2]

-- In a cluster, a slot on the move: see script.lua.
local probe = redis.pcall('EXISTS', string.sub(key, 1, -#'remediated' - 1) .. 'none')
if type(probe) == 'table' and probe.err then return redis.error_reply('TRYAGAIN the keys are on the move') end

local size, changed, refused = redis.call('HLEN', key), 0, 0
for k = 3, #ARGV do
	if mark == '' then
		changed = changed + redis.call('HDEL', key, ARGV[k])
	elseif size < most or redis.call('HEXISTS', key, ARGV[k]) == 1 then
		size = size + redis.call('HSET', key, ARGV[k], mark)
		changed = changed + 1
	else
		refused = refused + 1
	end
end
return { changed, refused }

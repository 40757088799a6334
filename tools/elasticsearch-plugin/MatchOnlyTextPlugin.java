package remediation.test;

import java.util.Map;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.index.mapper.TextFieldMapper;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * Gives the field type match_only_text to a distribution without the mapper-extras module. The synonyms API keeps its sets in an index with such a
 * field; a text field holds everything that it needs. For tests only.
 */
public final class MatchOnlyTextPlugin extends Plugin implements MapperPlugin {
    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return Map.of("match_only_text", TextFieldMapper.PARSER);
    }
}
